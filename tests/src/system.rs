//! What tests ask of the system beyond the standard library: signals, resource limits of a child, and a filter under
//! which io_uring cannot be used. Never applied to the test process itself.
#![allow(unsafe_code)] // system calls without a safe wrapper; each is one line with its reason

use std::io;
use std::net::TcpStream;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;
use socket2::{SockFilter, SockRef, Socket};
use syscalls::Sysno;

/// Sends a signal to a process that the caller started.
///
/// # Panics
/// When the system refuses, because it is gone for instance.
pub fn signal(pid: u32, signal: i32) {
    let pid = i32::try_from(pid).expect("process ids fit into 31 bits");
    // SAFETY: `kill` takes two numbers and touches no memory of ours.
    let result = unsafe { libc::kill(pid, signal) };
    assert_eq!(result, 0, "signal {signal} to {pid}: {}", io::Error::last_os_error());
}

/// Ends a TCP connection by RST: closing with a linger time of zero throws away what is unsent and unread.
///
/// # Panics
/// When the socket is not one that can linger.
pub fn reset(stream: TcpStream) {
    let socket = Socket::from(stream);
    socket.set_linger(Some(Duration::ZERO)).expect("a TCP socket has the option");
}

/// A filter's last instruction, with how much is kept (BPF_RET | BPF_K).
const RETURN: u16 = 0x06;

/// Has the kernel drop whatever comes for a socket before it is looked at, acknowledgements included.
///
/// # Panics
/// When the system takes no filter.
pub fn drop_everything(stream: &TcpStream) {
    // "Return 0": of each packet no byte is kept.
    let nothing = SockFilter::new(RETURN, 0, 0, 0);
    SockRef::from(stream).attach_filter(&[nothing]).expect("a socket takes a filter");
}

/// Starts the command with a soft and hard limit of its own.
pub fn limit(command: &mut Command, resource: Resource, bound: u64) {
    let (resource, bound) = (resource as libc::__rlimit_resource_t, libc::rlimit { rlim_cur: bound, rlim_max: bound });
    // SAFETY: between fork and exec only `setrlimit` runs, which is async-signal-safe; the struct is moved in.
    unsafe {
        command.pre_exec(move || {
            if libc::setrlimit(resource, &raw const bound) == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
        });
    }
}

/// Starts the command with these descriptors from 3 on, as a service manager does with sockets.
pub fn pass_on(command: &mut Command, descriptors: &[BorrowedFd<'_>]) {
    let numbers: Vec<_> = descriptors.iter().map(AsRawFd::as_raw_fd).collect();
    let mut aside = Vec::with_capacity(numbers.len());
    // SAFETY: between fork and exec only `fcntl` and `dup2` run, which are async-signal-safe; nothing is allocated.
    unsafe {
        command.pre_exec(move || {
            for number in &numbers {
                aside.push(libc::fcntl(*number, libc::F_DUPFD_CLOEXEC, 100));
            }
            for (place, number) in (3..).zip(&aside) {
                if libc::dup2(*number, place) < 0 {
                    return Err(io::Error::last_os_error());
                }
            }
            Ok(())
        });
    }
}

/// The resources that tests limit.
#[derive(Clone, Copy, Debug)]
#[repr(u32)]
pub enum Resource {
    /// Bytes that may be locked into memory.
    LockedBytes = libc::RLIMIT_MEMLOCK,
    /// Open descriptors.
    Descriptors = libc::RLIMIT_NOFILE,
}

/// Starts the command under a seccomp filter that answers `io_uring_setup` with an error, as container engines do: Docker's
/// with EPERM, Podman's with ENOSYS.
pub fn deny_io_uring(command: &mut Command, errno: i32) {
    let filter_of_one = [
        statement(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, SYSCALL_NUMBER_OFFSET),
        jump_if_equal(libc::SYS_io_uring_setup as u32, 0, 1),
        statement(libc::BPF_RET | libc::BPF_K, libc::SECCOMP_RET_ERRNO | errno as u32),
        statement(libc::BPF_RET | libc::BPF_K, libc::SECCOMP_RET_ALLOW),
    ];
    filter(command, filter_of_one.to_vec());
}

/// What becomes of a call that a profile does not name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// It fails, as the profile says.
    Fail,
    /// It ends the process by SIGSYS, so that none goes unnoticed.
    Kill,
}

/// Starts the command with nothing but the system calls that a container engine's profile names.
///
/// # Panics
/// When the profile is none, or names a call that there is not on any architecture.
pub fn confine(command: &mut Command, profile: &str, refusal: Refusal) {
    let profile: Value = serde_json::from_str(profile).expect("a profile is JSON");
    assert_eq!(profile["defaultAction"], "SCMP_ACT_ERRNO", "what is not named fails");
    let errno = profile["defaultErrnoRet"].as_u64().and_then(|errno| u32::try_from(errno).ok()).expect("an errno");
    let mut program = vec![
        statement(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, ARCHITECTURE_OFFSET),
        jump_if_equal(ARCHITECTURE, 1, 0),
        statement(libc::BPF_RET | libc::BPF_K, libc::SECCOMP_RET_KILL_PROCESS),
        statement(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, SYSCALL_NUMBER_OFFSET),
    ];
    for group in profile["syscalls"].as_array().expect("groups of calls") {
        assert_eq!(group["action"], "SCMP_ACT_ALLOW", "a group says what is allowed");
        assert!(group.get("args").is_none() && group.get("includes").is_none(), "no conditions: {group}");
        for name in group["names"].as_array().expect("names") {
            // A name that this architecture does not have is passed over, as engines do.
            if let Ok(call) = name.as_str().expect("text").parse::<Sysno>() {
                program.push(jump_if_equal(call.id().unsigned_abs(), 0, 1));
                program.push(statement(libc::BPF_RET | libc::BPF_K, libc::SECCOMP_RET_ALLOW));
            }
        }
    }
    let refused = match refusal {
        Refusal::Fail => libc::SECCOMP_RET_ERRNO | errno,
        Refusal::Kill => libc::SECCOMP_RET_KILL_PROCESS,
    };
    program.push(statement(libc::BPF_RET | libc::BPF_K, refused));
    filter(command, program);
}

fn filter(command: &mut Command, filter: Vec<libc::sock_filter>) {
    // SAFETY: between fork and exec only two `prctl` calls run, which are async-signal-safe; the filter is moved into
    // the closure and the kernel copies it before `prctl` returns.
    unsafe {
        command.pre_exec(move || {
            let program = libc::sock_fprog { len: filter.len() as u16, filter: filter.as_ptr().cast_mut() };
            let denied = libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0
                || libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const program) != 0;
            if denied { Err(io::Error::last_os_error()) } else { Ok(()) }
        });
    }
}

/// `nr` is the first field of the kernel's `struct seccomp_data`.
const SYSCALL_NUMBER_OFFSET: u32 = 0;
/// `arch` is the second, after four bytes of number.
const ARCHITECTURE_OFFSET: u32 = 4;
/// This machine's, as the kernel writes it: a number of ELF's, with bits for 64-bit and little-endian.
#[cfg(target_arch = "x86_64")]
const ARCHITECTURE: u32 = 0xc000_003e;
#[cfg(target_arch = "aarch64")]
const ARCHITECTURE: u32 = 0xc000_00b7;

const fn statement(code: u32, k: u32) -> libc::sock_filter {
    libc::sock_filter { code: code as u16, jt: 0, jf: 0, k }
}

const fn jump_if_equal(k: u32, if_true: u8, if_false: u8) -> libc::sock_filter {
    let code = (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16;
    libc::sock_filter { code, jt: if_true, jf: if_false, k }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::Process;
    use crate::wait::PATIENCE;

    #[test]
    fn a_limit_holds_in_the_child_only() {
        let mut command = Command::new("sh");
        command.args(["-c", "ulimit -n"]);
        limit(&mut command, Resource::Descriptors, 77);
        assert_eq!(Process::run(command, PATIENCE).stdout, "77");
        let mut command = Command::new("sh");
        command.args(["-c", "ulimit -n"]);
        assert_ne!(Process::run(command, PATIENCE).stdout, "77");
    }

    #[test]
    fn a_confined_child_has_the_calls_of_its_profile_and_no_others() {
        let profile = |calls: &[&str]| {
            let groups = serde_json::json!([{ "names": calls, "action": "SCMP_ACT_ALLOW" }]);
            serde_json::json!({ "defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 1, "syscalls": groups })
                .to_string()
        };
        let everything: Vec<_> = Sysno::iter().map(|call| call.name()).collect();
        let but_uname: Vec<_> = everything.iter().copied().filter(|name| *name != "uname").collect();
        let run = |calls: &[&str], refusal| {
            let mut command = Command::new("uname");
            confine(&mut command, &profile(calls), refusal);
            Process::run(command, PATIENCE).status
        };
        assert!(run(&everything, Refusal::Kill).success());
        assert_eq!(run(&but_uname, Refusal::Fail).code(), Some(1), "it was refused, and says so");
        assert_eq!(std::os::unix::process::ExitStatusExt::signal(&run(&but_uname, Refusal::Kill)), Some(libc::SIGSYS));
    }

    #[test]
    fn a_filtered_child_runs_under_seccomp() {
        let mut command = Command::new("grep");
        command.args(["Seccomp:", "/proc/self/status"]);
        deny_io_uring(&mut command, libc::EPERM);
        let exit = Process::run(command, PATIENCE);
        assert_eq!(exit.stdout.split_whitespace().last(), Some("2"), "{exit}");
    }
}
