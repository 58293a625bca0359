//! What the kernel puts on a stack for a signal handler, `struct rt_sigframe` of x86-64 (arch/x86/include/asm/sigframe.h,
//! arch/x86/include/uapi/asm/sigcontext.h): made here by hand, one for each function of an errand, so that
//! rt_sigreturn(2) leads from one to the next and at last back to what the thread was doing.
//!
//! From high addresses to low: 128 bytes below the stack pointer that are the interrupted function's (the red zone);
//! the floating-point registers; the errand's data; the frame to come back by after the last function; the one after
//! the last but one; …; the stack of the first function.

use super::{Argument, ChangeError, Errand, Patch};
use crate::arch::{Arch, Interruption, Registers, X86_64};
use crate::maps::Maps;
use nix::errno::Errno;
use nix::libc;
use snapshot::Address;

const RED_ZONE: u64 = 128;
/// Most functions of one errand.
const CALLS_MAX: usize = 8;
/// Most bytes of an errand's data.
const DATA_MAX: usize = 8192;
/// Return address and `struct ucontext`.
const FRAME_BYTES: usize = 8 + 304;

// Offsets in a frame: the ucontext begins behind the return address, its mcontext 40 bytes on.
const UC_FLAGS: usize = 8;
const UC_STACK_FLAGS: usize = 8 + 24;
const MCONTEXT: usize = 8 + 40;
const SELECTORS: usize = MCONTEXT + 144;
const FPSTATE: usize = MCONTEXT + 184;
const UC_SIGMASK: usize = 8 + 296;

/// `UC_FP_XSTATE`, `UC_SIGCONTEXT_SS`, `UC_STRICT_RESTORE_SS`.
const FLAGS: u64 = 1 | 2 | 4;
/// No such flags of an alternate signal stack: the kernel leaves the thread's own as it is.
const NO_STACK: u32 = 4;

/// In the order of the mcontext, where in the register set each is: r8–r15, rdi, rsi, rbp, rbx, rdx, rax, rcx, rsp,
/// rip, rflags.
const ORDER: [usize; 18] = [
    9, 8, 7, 6, 3, 2, 1, 0, RDI, RSI, 4, 5, 12, RAX, 11, RSP, RIP, FLAGS_WORD,
];
const RAX: usize = 10;
const RSI: usize = 13;
const RDI: usize = 14;
const ORIG_RAX: usize = 15;
const RIP: usize = 16;
const CS: usize = 17;
const FLAGS_WORD: usize = 18;
const RSP: usize = 19;
const SS: usize = 20;
const WORDS: usize = 27;
/// Bytes of the instruction `syscall`.
const SYSCALL_BYTES: u64 = 2;
/// Direction and trap: a function begins with neither.
const FLAGS_CLEARED: u64 = 1 << 10 | 1 << 8;

/// PTRACE_GETSIGMASK.
const GET_SIGNAL_MASK: libc::c_uint = 0x420a;
/// NT_X86_XSTATE.
const NT_XSTATE: usize = 0x202;
const XSTATE_MAX: usize = 1 << 14;
/// The legacy part and the header.
const XSTATE_MIN: usize = 576;
/// `sw_reserved` of the legacy part, whose first word the kernel gives to the mask of the features.
const SOFTWARE: usize = 464;
/// The header, which begins with the mask of the features in use.
const HEADER: usize = 512;
const MAGIC1: u32 = 0x4650_5853;
const MAGIC2: u32 = 0x4650_5845;
/// Features that a thread has only after it has asked for them (AMX), and that lie behind all others.
const ON_DEMAND: u64 = 1 << 17 | 1 << 18;

/// What to write, and what to set.
pub(super) struct Prepared {
    pub stack: Patch,
    pub registers: Registers,
}

/// Prepares the way of a thread with these registers.
pub(super) fn prepare(
    pid: u32,
    tid: u32,
    registers: &Registers,
    errand: &Errand<'_>,
) -> Result<Prepared, ChangeError> {
    let too_much = errand.calls.len() > CALLS_MAX || errand.data.len() > DATA_MAX;
    if too_much || errand.calls.is_empty() {
        return Err(ChangeError::TooMuch);
    }
    if Arch::host() != Some(&X86_64) || registers.words().len() != WORDS {
        return Err(ChangeError::Unsupported(
            "threads can be sent on an errand on x86-64 alone",
        ));
    }
    if has_shadow_stack(pid, tid) {
        return Err(ChangeError::Unsupported(
            "the thread has a shadow stack, which forbids it",
        ));
    }
    let mask = signal_mask(tid)?;
    let floats = floats(tid)?;
    let mut words = [0; WORDS];
    words.copy_from_slice(registers.words());
    let plan = Plan::new(words[RSP], floats.len(), errand);
    plan.check(pid, registers, errand.stack_bytes)?;
    let mut stack = vec![0; usize::try_from(plan.top - plan.bottom()).unwrap_or(0)];
    put(&mut stack, plan.offset(plan.floats), &floats);
    put(&mut stack, plan.offset(plan.data), errand.data);
    let starts: Vec<[u64; WORDS]> = (errand.calls.iter().zip(&plan.frames))
        .map(|(&(function, arguments), &frame)| {
            let value = |argument| match argument {
                Argument::Number(number) => number,
                Argument::Data(offset) => plan.data + offset as u64,
            };
            let mut start = words;
            start[RIP] = function.0;
            start[RDI] = value(arguments[0]);
            start[RSI] = value(arguments[1]);
            start[RSP] = frame;
            start[RAX] = 0;
            start[ORIG_RAX] = u64::MAX;
            start[FLAGS_WORD] &= !FLAGS_CLEARED;
            start
        })
        .collect();
    for (index, &frame) in plan.frames.iter().enumerate() {
        let (next, floats) = match starts.get(index + 1) {
            Some(start) => (*start, 0),
            None => (back(words, registers), plan.floats),
        };
        let bytes = sigframe(&next, errand.restorer, mask, floats);
        put(&mut stack, plan.offset(frame), &bytes);
    }
    let first = starts.first().ok_or(ChangeError::TooMuch)?;
    Ok(Prepared {
        stack: Patch::new(Address(plan.bottom()), stack),
        registers: Registers::new(registers.arch, first),
    })
}

/// Where everything goes.
struct Plan {
    /// The end, below the red zone.
    top: u64,
    floats: u64,
    data: u64,
    /// Of the first function's frame first, which is the lowest.
    frames: Vec<u64>,
}

impl Plan {
    fn new(sp: u64, floats_bytes: usize, errand: &Errand<'_>) -> Plan {
        let top = sp.saturating_sub(RED_ZONE) & !63;
        let floats = top.saturating_sub(floats_bytes as u64) & !63;
        let data = floats.saturating_sub(errand.data.len() as u64) & !15;
        let mut below = data;
        let mut frames: Vec<u64> = (errand.calls.iter())
            .map(|_| {
                // A function begins 8 bytes off a multiple of 16.
                below = (below.saturating_sub(FRAME_BYTES as u64) & !15).saturating_sub(8);
                below
            })
            .collect();
        frames.reverse();
        Plan {
            top,
            floats,
            data,
            frames,
        }
    }

    fn bottom(&self) -> u64 {
        self.frames.first().copied().unwrap_or(self.data)
    }

    fn offset(&self, address: u64) -> usize {
        usize::try_from(address.saturating_sub(self.bottom())).unwrap_or(usize::MAX)
    }

    /// Whether the thread is on its own stack, and that has this much room.
    fn check(&self, pid: u32, registers: &Registers, stack_bytes: u64) -> Result<(), ChangeError> {
        let no_room = ChangeError::Unsupported("the thread's stack has no room for it");
        let other = ChangeError::Unsupported("the thread is not on its own stack");
        let maps = Maps::read(pid).map_err(|_| ChangeError::Gone)?;
        let (sp, own) = (registers.sp(), registers.thread_pointer());
        let mut mappings = maps.iter().filter(|mapping| mapping.perms.write);
        let stack = mappings.find(|mapping| mapping.contains(sp)).ok_or(other)?;
        let named = |name: &str| {
            let path = stack.path.as_ref();
            path.is_some_and(|path| path.as_os_str() == name)
        };
        // The kernel makes the main thread's stack larger as it is used; what is written here must be there. Another
        // thread's has its descriptor at the end. A stack for signal handlers, or of coroutines, is neither.
        let needed = match () {
            () if named("[stack]") => 0,
            () if stack.contains(own) && own > sp && !named("[heap]") => stack_bytes,
            () => return Err(other),
        };
        if self.bottom().saturating_sub(needed) > stack.start.0 {
            Ok(())
        } else {
            Err(no_room)
        }
    }
}

/// The registers to come back to: with the system call to make again, or with what came of it.
fn back(mut words: [u64; WORDS], registers: &Registers) -> [u64; WORDS] {
    match registers.interruption() {
        Some(Interruption::GoesOn) if !sleeps_for_the_rest(registers) => {
            let ended = registers.with_call_ended();
            words.copy_from_slice(ended.words());
            words
        }
        Some(Interruption::BegunAgain | Interruption::GoesOn) => {
            words[RAX] = words[ORIG_RAX];
            words[RIP] = words[RIP].wrapping_sub(SYSCALL_BYTES);
            words
        }
        Some(Interruption::Ended) | None => words,
    }
}

/// Whether a call that sleeps for a time, begun again, sleeps for what was left of it: the stop has put that where the
/// call reads its time (nanosleep(2): `rem` is `req`, as in `sleep` of glibc).
pub(super) fn sleeps_for_the_rest(registers: &Registers) -> bool {
    let Some(call) = registers.syscall() else {
        return false;
    };
    let [first, second, third, fourth, ..] = call.args;
    match call.name.as_str() {
        "nanosleep" => first != 0 && first == second,
        "clock_nanosleep" => third != 0 && third == fourth,
        _ => false,
    }
}

fn sigframe(words: &[u64; WORDS], restorer: Address, mask: u64, floats: u64) -> [u8; FRAME_BYTES] {
    let mut frame = [0; FRAME_BYTES];
    put(&mut frame, 0, &restorer.0.to_le_bytes());
    put(&mut frame, UC_FLAGS, &FLAGS.to_le_bytes());
    put(&mut frame, UC_STACK_FLAGS, &NO_STACK.to_le_bytes());
    for (index, &word) in ORDER.iter().enumerate() {
        put(&mut frame, MCONTEXT + 8 * index, &words[word].to_le_bytes());
    }
    let selector = |word: u64| u16::try_from(word & 0xffff).unwrap_or(0).to_le_bytes();
    put(&mut frame, SELECTORS, &selector(words[CS]));
    put(&mut frame, SELECTORS + 6, &selector(words[SS]));
    put(&mut frame, FPSTATE, &floats.to_le_bytes());
    put(&mut frame, UC_SIGMASK, &mask.to_le_bytes());
    frame
}

fn put(to: &mut [u8], at: usize, bytes: &[u8]) {
    let end = at.saturating_add(bytes.len());
    if let Some(place) = to.get_mut(at..end) {
        place.copy_from_slice(bytes);
    }
}

fn has_shadow_stack(pid: u32, tid: u32) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{pid}/task/{tid}/status"));
    let status = status.unwrap_or_default();
    let mut lines = status.lines();
    lines.any(|line| line.starts_with("x86_Thread_features:") && line.contains("shstk"))
}

fn signal_mask(tid: u32) -> Result<u64, ChangeError> {
    let mut mask = 0_u64;
    let tid = tid.cast_signed();
    // SAFETY: the kernel writes 8 bytes, as the third argument says, to `mask`, which outlives the call.
    let result = unsafe { libc::ptrace(GET_SIGNAL_MASK, tid, size_of::<u64>(), &raw mut mask) };
    Errno::result(result).map_err(|_| ChangeError::Denied)?;
    Ok(mask)
}

/// The floating-point registers in the form in which rt_sigreturn takes them.
fn floats(tid: u32) -> Result<Vec<u8>, ChangeError> {
    let mut bytes = vec![0_u8; XSTATE_MAX];
    let mut vector = libc::iovec {
        iov_base: bytes.as_mut_ptr().cast(),
        iov_len: bytes.len(),
    };
    let tid = tid.cast_signed();
    // SAFETY: the kernel writes at most `iov_len` bytes to `iov_base`, which is `bytes`, and the number of bytes written
    // to `vector`; both outlive the call.
    let result = unsafe { libc::ptrace(libc::PTRACE_GETREGSET, tid, NT_XSTATE, &raw mut vector) };
    let unsupported =
        ChangeError::Unsupported("the thread's floating-point registers are not known here");
    Errno::result(result).map_err(|_| unsupported)?;
    let length = vector.iov_len;
    if !(XSTATE_MIN..XSTATE_MAX).contains(&length) {
        return Err(unsupported);
    }
    let features = bytes
        .get(SOFTWARE..SOFTWARE + 8)
        .and_then(|word| word.try_into().ok());
    let features = u64::from_le_bytes(features.unwrap_or_default()) & !ON_DEMAND;
    let in_use = bytes
        .get(HEADER..HEADER + 8)
        .and_then(|word| word.try_into().ok());
    let in_use = u64::from_le_bytes(in_use.unwrap_or_default()) & !ON_DEMAND;
    put(&mut bytes, HEADER, &in_use.to_le_bytes());
    let size = size_of_features(features).min(length);
    bytes.truncate(size);
    let word = |size: usize| u32::try_from(size).unwrap_or(0).to_le_bytes();
    put(&mut bytes, SOFTWARE, &MAGIC1.to_le_bytes());
    put(&mut bytes, SOFTWARE + 4, &word(size + 4));
    put(&mut bytes, SOFTWARE + 8, &features.to_le_bytes());
    put(&mut bytes, SOFTWARE + 16, &word(size));
    bytes.extend(MAGIC2.to_le_bytes());
    Ok(bytes)
}

/// Bytes that these features take in the form that is not compacted (CPUID leaf 13).
#[cfg(target_arch = "x86_64")]
fn size_of_features(features: u64) -> usize {
    let ends = (2..63).filter(|bit| features >> bit & 1 == 1).map(|bit| {
        let leaf = std::arch::x86_64::__cpuid_count(13, bit);
        leaf.eax as usize + leaf.ebx as usize
    });
    ends.max().unwrap_or(0).max(XSTATE_MIN)
}

#[cfg(not(target_arch = "x86_64"))]
fn size_of_features(_: u64) -> usize {
    XSTATE_MIN
}

#[cfg(test)]
mod tests {
    use super::*;

    fn errand(calls: &[(Address, [Argument; 2])]) -> Errand<'_> {
        Errand {
            calls,
            data: b"seventeen bytes!!",
            restorer: Address(0x7000),
            stack_bytes: 0,
            may_end_call: false,
        }
    }

    #[test]
    fn everything_has_its_place_below_the_red_zone() {
        let none = Argument::Number(0);
        let calls = [(Address(0x1000), [none, none]); 3];
        let plan = Plan::new(0x7fff_1238, 2700, &errand(&calls));
        assert!(plan.top <= 0x7fff_1238 - RED_ZONE);
        assert!(plan.floats.is_multiple_of(64) && plan.floats + 2700 <= plan.top);
        assert!(plan.data.is_multiple_of(16) && plan.data + 17 <= plan.floats);
        // The first function's frame is the lowest: what it pushes overwrites none of the others.
        assert!(plan.frames.is_sorted() && plan.frames.len() == 3);
        for (frame, next) in plan
            .frames
            .iter()
            .zip(plan.frames.iter().skip(1).chain([&plan.data]))
        {
            assert!(frame + FRAME_BYTES as u64 <= *next);
            assert_eq!(frame % 16, 8, "as a call leaves the stack");
        }
    }

    #[test]
    fn a_call_is_begun_again_or_its_end_is_told() {
        let mut words = [0; WORDS];
        (words[ORIG_RAX], words[RIP]) = (0, 0x4002);
        let back = |words: [u64; WORDS]| back(words, &Registers::new(&X86_64, &words));
        words[RAX] = (-512_i64).cast_unsigned();
        let again = back(words);
        assert_eq!((again[RIP], again[RAX]), (0x4000, 0));
        // What cannot be gone on with tells EINTR, where that may be.
        (words[RAX], words[ORIG_RAX]) = ((-516_i64).cast_unsigned(), 7);
        let ended = back(words);
        assert_eq!((ended[RIP], ended[RAX].cast_signed()), (0x4002, -4));
        // clock_nanosleep whose rest is where its time was.
        words[ORIG_RAX] = 230;
        (words[12], words[7]) = (0x5000, 0x5000);
        assert_eq!(back(words)[RIP], 0x4000);
    }
}
