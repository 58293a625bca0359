//! How the kernel shares out its CPUs to unknot's own threads.

use nix::libc;

/// The length of a turn that is asked for, in nanoseconds: the shortest that the kernel gives.
const TURN_NS: u64 = 100_000;
/// `SCHED_FLAG_RESET_ON_FORK` (include/uapi/linux/sched.h): what is started by us is not concerned.
const RESET_ON_FORK: u64 = 1;

/// `struct sched_attr` in its first form (include/uapi/linux/sched/types.h).
#[repr(C)]
#[derive(Debug, Default)]
struct Attributes {
    size: u32,
    policy: u32,
    flags: u64,
    nice: i32,
    priority: u32,
    runtime_ns: u64,
    deadline_ns: u64,
    period_ns: u64,
}

/// Asks for short turns on a CPU for the calling thread, which then come sooner: while it holds another thread still, it
/// must not wait for others to use up theirs. Its share of the CPU stays as it is. Kernels before 6.12 take no notice.
pub fn ask_for_short_turns() {
    let size = u32::try_from(size_of::<Attributes>()).unwrap_or(0);
    let mut attributes = Attributes::default();
    // SAFETY: the kernel writes at most `size` bytes to `attributes`, which has as many and outlives the call; any bytes are
    // valid in its fields.
    let read =
        unsafe { libc::syscall(libc::SYS_sched_getattr, 0, &raw mut attributes, size, 0_u32) };
    // Only the usual policy, SCHED_OTHER, knows turns of this kind.
    if read != 0 || attributes.policy != 0 {
        return;
    }
    attributes.size = size;
    attributes.flags |= RESET_ON_FORK;
    attributes.runtime_ns = TURN_NS;
    // SAFETY: the kernel reads `size` bytes from `attributes`, which outlives the call; it changes this thread's turns only.
    unsafe { libc::syscall(libc::SYS_sched_setattr, 0, &raw const attributes, 0_u32) };
}
