//! What differs from machine to machine, as data: registers and the numbers of system calls.

use snapshot::{Address, Syscall};

/// Words in the largest general register set of a machine known here.
pub const REGISTERS_MAX: usize = 34;

/// A machine.
#[derive(Debug, PartialEq, Eq)]
pub struct Arch {
    /// `e_machine` of its ELF files.
    pub elf_machine: u16,
    /// How many words its general register set (NT_PRSTATUS) has.
    pub registers: usize,
    /// Where in the set the program counter is.
    pc: usize,
    /// The stack pointer.
    sp: usize,
    /// The frame pointer, of code that keeps one.
    fp: usize,
    /// The number of the system call that the thread is in; negative when it is in none.
    call_number: usize,
    /// What the call gives back, when it is over or interrupted.
    call_result: usize,
    /// The arguments of the call.
    call_arguments: [usize; 6],
    /// The thread pointer: what `pthread_self()` gives.
    thread_pointer: usize,
    /// First number and names of the calls, in unbroken runs; `-`: no such call.
    calls: &'static [(usize, &'static str)],
}

/// 64-bit x86: `struct user_regs_struct`.
pub static X86_64: Arch = Arch {
    elf_machine: 62,
    registers: 27,
    pc: 16,
    sp: 19,
    fp: 4,
    call_number: 15,
    call_result: 10,
    call_arguments: [14, 13, 12, 7, 9, 8],
    thread_pointer: 21,
    calls: &[(0, X86_64_CALLS), (424, NEW_CALLS)],
};

/// All machines known here.
static ALL: &[&Arch] = &[&X86_64];

const X86_64_CALLS: &str = "\
    read write open close stat fstat lstat poll lseek mmap mprotect munmap brk rt_sigaction \
    rt_sigprocmask rt_sigreturn ioctl pread64 pwrite64 readv writev access pipe select \
    sched_yield mremap msync mincore madvise shmget shmat shmctl dup dup2 pause nanosleep \
    getitimer alarm setitimer getpid sendfile socket connect accept sendto recvfrom sendmsg \
    recvmsg shutdown bind listen getsockname getpeername socketpair setsockopt getsockopt \
    clone fork vfork execve exit wait4 kill uname semget semop semctl shmdt msgget msgsnd \
    msgrcv msgctl fcntl flock fsync fdatasync truncate ftruncate getdents getcwd chdir fchdir \
    rename mkdir rmdir creat link unlink symlink readlink chmod fchmod chown fchown lchown \
    umask gettimeofday getrlimit getrusage sysinfo times ptrace getuid syslog getgid setuid \
    setgid geteuid getegid setpgid getppid getpgrp setsid setreuid setregid getgroups \
    setgroups setresuid getresuid setresgid getresgid getpgid setfsuid setfsgid getsid capget \
    capset rt_sigpending rt_sigtimedwait rt_sigqueueinfo rt_sigsuspend sigaltstack utime mknod \
    uselib personality ustat statfs fstatfs sysfs getpriority setpriority sched_setparam \
    sched_getparam sched_setscheduler sched_getscheduler sched_get_priority_max \
    sched_get_priority_min sched_rr_get_interval mlock munlock mlockall munlockall vhangup \
    modify_ldt pivot_root _sysctl prctl arch_prctl adjtimex setrlimit chroot sync acct \
    settimeofday mount umount2 swapon swapoff reboot sethostname setdomainname iopl ioperm \
    create_module init_module delete_module get_kernel_syms query_module quotactl nfsservctl \
    getpmsg putpmsg afs_syscall tuxcall security gettid readahead setxattr lsetxattr fsetxattr \
    getxattr lgetxattr fgetxattr listxattr llistxattr flistxattr removexattr lremovexattr \
    fremovexattr tkill time futex sched_setaffinity sched_getaffinity set_thread_area io_setup \
    io_destroy io_getevents io_submit io_cancel get_thread_area lookup_dcookie epoll_create \
    epoll_ctl_old epoll_wait_old remap_file_pages getdents64 set_tid_address restart_syscall \
    semtimedop fadvise64 timer_create timer_settime timer_gettime timer_getoverrun \
    timer_delete clock_settime clock_gettime clock_getres clock_nanosleep exit_group \
    epoll_wait epoll_ctl tgkill utimes vserver mbind set_mempolicy get_mempolicy mq_open \
    mq_unlink mq_timedsend mq_timedreceive mq_notify mq_getsetattr kexec_load waitid add_key \
    request_key keyctl ioprio_set ioprio_get inotify_init inotify_add_watch inotify_rm_watch \
    migrate_pages openat mkdirat mknodat fchownat futimesat newfstatat unlinkat renameat \
    linkat symlinkat readlinkat fchmodat faccessat pselect6 ppoll unshare set_robust_list \
    get_robust_list splice tee sync_file_range vmsplice move_pages utimensat epoll_pwait \
    signalfd timerfd_create eventfd fallocate timerfd_settime timerfd_gettime accept4 \
    signalfd4 eventfd2 epoll_create1 dup3 pipe2 inotify_init1 preadv pwritev rt_tgsigqueueinfo \
    perf_event_open recvmmsg fanotify_init fanotify_mark prlimit64 name_to_handle_at \
    open_by_handle_at clock_adjtime syncfs sendmmsg setns getcpu process_vm_readv \
    process_vm_writev kcmp finit_module sched_setattr sched_getattr renameat2 seccomp \
    getrandom memfd_create kexec_file_load bpf execveat userfaultfd membarrier mlock2 \
    copy_file_range preadv2 pwritev2 pkey_mprotect pkey_alloc pkey_free statx io_pgetevents \
    rseq";

/// Calls that have the same number on every machine.
const NEW_CALLS: &str = "\
    pidfd_send_signal io_uring_setup io_uring_enter io_uring_register open_tree move_mount \
    fsopen fsconfig fsmount fspick pidfd_open clone3 close_range openat2 pidfd_getfd \
    faccessat2 process_madvise epoll_pwait2 mount_setattr quotactl_fd landlock_create_ruleset \
    landlock_add_rule landlock_restrict_self memfd_secret process_mrelease futex_waitv \
    set_mempolicy_home_node cachestat fchmodat2 map_shadow_stack futex_wake futex_wait \
    futex_requeue statmount listmount lsm_get_self_attr lsm_set_self_attr lsm_list_modules \
    mseal";

impl Arch {
    /// The machine with this `e_machine`.
    pub fn of_elf(machine: u16) -> Option<&'static Arch> {
        ALL.iter().find(|arch| arch.elf_machine == machine).copied()
    }

    /// The machine that unknot was built for.
    pub fn host() -> Option<&'static Arch> {
        cfg!(target_arch = "x86_64").then_some(&X86_64)
    }

    /// The name of a system call; empty when there is none of this number.
    pub fn call_name(&self, number: u64) -> &'static str {
        let name = self.calls.iter().find_map(|&(first, names)| {
            let index = usize::try_from(number).ok()?.checked_sub(first)?;
            names.split_ascii_whitespace().nth(index)
        });
        name.filter(|&name| name != "-").unwrap_or("")
    }

    /// A system call in progress. After a stop or a signal, some calls go on as `restart_syscall`, with
    /// their arguments kept: they are named and numbered here as what they were.
    pub fn syscall(&self, number: u64, args: [u64; 6]) -> Syscall {
        let name = self.call_name(number);
        let original = (name == "restart_syscall").then(|| resumed(args)).flatten();
        let known = original.and_then(|name| Some((name, self.call_number(name)?)));
        let (name, number) = known.unwrap_or((name, number));
        Syscall {
            number,
            name: name.to_owned(),
            args,
        }
    }

    /// The number of a system call.
    pub fn call_number(&self, name: &str) -> Option<u64> {
        self.calls.iter().find_map(|&(first, names)| {
            let index = names.split_ascii_whitespace().position(|it| it == name)?;
            Some((first + index) as u64)
        })
    }
}

/// Which of the four calls that can go on as `restart_syscall` has arguments like these. All but `poll`, which
/// does so always (fs/select.c), have a time limit, or they would begin anew.
fn resumed(args: [u64; 6]) -> Option<&'static str> {
    const WAIT: u64 = 0;
    const WAIT_BITSET: u64 = 9;
    const PRIVATE_OR_REALTIME: u64 = 0x180;
    const MATCH_ANY: u32 = u32::MAX;
    let [first, second, third, fourth, _, sixth] = args;
    let pointer = |word: u64| (0x1000..1 << 56).contains(&word);
    let futex = match second & !PRIVATE_OR_REALTIME {
        WAIT => true,
        WAIT_BITSET => sixth as u32 == MATCH_ANY,
        _ => false,
    };
    if pointer(first) && first.is_multiple_of(4) && pointer(fourth) && futex {
        Some("futex")
    } else if first < 16 && second == 0 && pointer(third) {
        Some("clock_nanosleep")
    } else if pointer(first) && pointer(second) {
        Some("nanosleep")
    } else if (third as i32) >= -1 && second < 0x1000 {
        Some("poll")
    } else {
        None
    }
}

/// The general registers of a stopped thread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Registers {
    /// The machine they belong to.
    pub arch: &'static Arch,
    words: [u64; REGISTERS_MAX],
}

/// What a stop makes of a system call (include/linux/errno.h).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interruption {
    /// The thread makes the same call again when it is let go (ERESTARTSYS, ERESTARTNOINTR, ERESTARTNOHAND).
    BegunAgain,
    /// The kernel goes on with it, with what is left of its time (ERESTART_RESTARTBLOCK).
    GoesOn,
    /// Its caller gets EINTR, of any stop (epoll_wait and its like).
    Ended,
}

/// What the kernel says inside of itself when a signal or a stop interrupts a call: it will be begun
/// again (ERESTARTSYS, ERESTARTNOINTR, ERESTARTNOHAND, ERESTART_RESTARTBLOCK), or the caller gets
/// EINTR (epoll_wait, msgrcv, semop and some more).
const INTERRUPTED: [i64; 5] = [-512, -513, -514, -516, -4];

/// ETIMEDOUT.
const TIMED_OUT: i64 = -110;

impl Registers {
    /// From the words of an NT_PRSTATUS register set; missing ones are 0.
    pub fn new(arch: &'static Arch, words: &[u64]) -> Registers {
        let mut all = [0; REGISTERS_MAX];
        all.iter_mut().zip(words).for_each(|(to, &from)| *to = from);
        Registers { arch, words: all }
    }

    /// The words of its NT_PRSTATUS register set.
    pub(crate) fn words(&self) -> &[u64] {
        self.words.get(..self.arch.registers).unwrap_or(&[])
    }

    /// What a stop has made of the system call that the thread is in; `None`: it is in none, or that one was over.
    pub fn interruption(&self) -> Option<Interruption> {
        if self.word(self.arch.call_number).cast_signed() < 0 {
            return None;
        }
        match self.word(self.arch.call_result).cast_signed() {
            -514..=-512 => Some(Interruption::BegunAgain),
            -516 => Some(Interruption::GoesOn),
            -4 => Some(Interruption::Ended),
            _ => None,
        }
    }

    /// The same registers with the interrupted system call over, and EINTR as what came of it.
    #[must_use]
    pub(crate) fn with_call_ended(mut self) -> Registers {
        const NO_CALL: u64 = u64::MAX;
        const EINTR: i64 = 4;
        let (number, result) = (self.arch.call_number, self.arch.call_result);
        if let Some(word) = self.words.get_mut(number) {
            *word = NO_CALL;
        }
        if let Some(word) = self.words.get_mut(result) {
            *word = (-EINTR).cast_unsigned();
        }
        self
    }

    fn word(&self, index: usize) -> u64 {
        self.words.get(index).copied().unwrap_or(0)
    }

    /// The program counter.
    pub fn pc(&self) -> Address {
        Address(self.word(self.arch.pc))
    }

    /// The stack pointer.
    pub fn sp(&self) -> Address {
        Address(self.word(self.arch.sp))
    }

    /// The frame pointer, which code that keeps none uses for anything.
    pub fn fp(&self) -> Address {
        Address(self.word(self.arch.fp))
    }

    /// What `pthread_self()` gives in this thread (with glibc and musl).
    pub fn thread_pointer(&self) -> Address {
        Address(self.word(self.arch.thread_pointer))
    }

    /// The system call that the thread was in when it was stopped; `None` when it was in user space,
    /// also right behind a call that was over, unless that was a futex whose time had run out.
    pub fn syscall(&self) -> Option<Syscall> {
        let number = self.word(self.arch.call_number);
        if number.cast_signed() < 0 {
            return None;
        }
        let result = self.word(self.arch.call_result).cast_signed();
        let args = self.arch.call_arguments.map(|index| self.word(index));
        // A write to a full pipe or socket that had got rid of a part of its bytes ends with their number when it
        // is stopped, and its caller writes the rest: it was blocked all the same (pipe(7), signal(7)).
        let partial = matches!(self.arch.call_name(number), "write" | "sendto")
            && (1..args[2].cast_signed()).contains(&result);
        let inside = partial || INTERRUPTED.contains(&result);
        let call = || self.arch.syscall(number, args);
        if inside {
            return Some(call());
        }
        // A stop that comes as the time of a futex runs out: a thread that waits for the GIL asks anew every few
        // milliseconds, and is as good as inside.
        (result == TIMED_OUT)
            .then(call)
            .filter(|call| call.name.starts_with("futex"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_have_their_names() {
        for (number, name) in [
            (0, "read"),
            (7, "poll"),
            (61, "wait4"),
            (202, "futex"),
            (219, "restart_syscall"),
            (232, "epoll_wait"),
            (247, "waitid"),
            (271, "ppoll"),
            (281, "epoll_pwait"),
            (334, "rseq"),
            (426, "io_uring_enter"),
            (441, "epoll_pwait2"),
            (449, "futex_waitv"),
            (400, ""),
            (u64::MAX, ""),
        ] {
            assert_eq!(X86_64.call_name(number), name);
            if !name.is_empty() {
                assert_eq!(X86_64.call_number(name), Some(number));
            }
        }
    }

    #[test]
    fn a_finished_call_is_none() {
        let mut words = [0; 27];
        words[15] = 202;
        words[10] = (-512_i64).cast_unsigned();
        words[14] = 0x7000;
        words[8] = 6;
        let inside = Registers::new(&X86_64, &words).syscall().expect("inside");
        assert_eq!(
            (inside.name.as_str(), inside.args),
            ("futex", [0x7000, 0, 0, 0, 0, 6])
        );
        words[10] = 5;
        assert_eq!(Registers::new(&X86_64, &words).syscall(), None);
        words[10] = TIMED_OUT.cast_unsigned();
        assert!(Registers::new(&X86_64, &words).syscall().is_some());
        words[15] = 42;
        assert_eq!(Registers::new(&X86_64, &words).syscall(), None);
        words[15] = 202;
        words[10] = (-512_i64).cast_unsigned();
        words[15] = u64::MAX;
        assert_eq!(Registers::new(&X86_64, &words).syscall(), None);
    }
    #[test]
    fn a_call_that_goes_on_after_a_stop_keeps_its_name() {
        let name = |args| X86_64.syscall(219, args).name;
        assert_eq!(name([0x7000, 0x189, 0, 0x8000, 0, 0xffff_ffff]), "futex");
        assert_eq!(name([0x7000, 0x80, 2, 0x8000, 0, 0]), "futex");
        assert_eq!(name([0x7000, 2, 500, 0, 0, 0]), "poll");
        assert_eq!(name([0x7000, 1, 0xffff_ffff, 1, 0, 0]), "poll");
        assert_eq!(name([1, 0, 0x7000, 0x8000, 0, 0]), "clock_nanosleep");
        assert_eq!(name([0x7000, 0x7000, 0, 0, 0, 0]), "nanosleep");
        assert_eq!(name([u64::MAX; 6]), "restart_syscall");
        assert_eq!(X86_64.syscall(219, [0x7000, 2, 500, 0, 0, 0]).number, 7);
    }
}
