#![allow(unsafe_code)] // what a child does between fork and exec
//! Starting this program again as a child that has the listening sockets, by systemd's convention: from descriptor 3 on,
//! with LISTEN_FDS, LISTEN_FDNAMES and the child's own LISTEN_PID. Nothing else is inherited.
//!
//! The child's environment needs the child's process id, which is known after fork(2) only, where nothing may allocate. So
//! the variable is made with room for the digits, and exec(3) is called here and not by the standard library.

use std::env;
use std::ffi::{CString, OsString, c_char};
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};
use std::os::unix::ffi::OsStringExt as _;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Child, Command};
use std::ptr;

use crate::net::SUPERVISOR;

/// How this program is started again.
#[derive(Debug)]
pub(super) struct Program {
    path: PathBuf,
    arguments: Vec<CString>,
}

/// What the child needs between fork and exec, made before the fork.
struct Plan {
    path: CString,
    /// Point into the strings, and end with null.
    arguments: Vec<*const c_char>,
    environment: Vec<*const c_char>,
    _strings: Vec<CString>,
    /// `LISTEN_PID=`, the digits to be written, and a zero.
    own_id: Box<[u8]>,
    parent: libc::pid_t,
    sockets: Vec<RawFd>,
    /// Where the sockets are while their places are made free.
    aside: Vec<RawFd>,
}

// SAFETY: the pointers point into what the plan owns, which does not move with it.
unsafe impl Send for Plan {}
// SAFETY: it is used by one closure, in the child, which has one thread.
unsafe impl Sync for Plan {}

impl Program {
    /// The program of this process, by the name that it was started by: a deploy may have put another file there, or
    /// turned a symbolic link.
    pub(super) fn own() -> io::Result<Self> {
        let arguments: Vec<_> = env::args_os().collect();
        let named = arguments.first().map(PathBuf::from).filter(|name| name.components().count() > 1);
        let path = match named.map(std::path::absolute).transpose()?.filter(|path| path.is_file()) {
            Some(path) => path,
            None => env::current_exe()?,
        };
        Ok(Self { path, arguments: arguments.into_iter().map(text).collect::<io::Result<_>>()? })
    }

    /// Starts a child with these sockets, and the line to it. It is sent a SIGTERM when we die.
    pub(super) fn start(&self, sockets: &[(&str, BorrowedFd<'_>)]) -> io::Result<(Child, UnixStream)> {
        let (ours, theirs) = UnixStream::pair()?;
        ours.set_nonblocking(true)?;
        let names: Vec<_> = sockets.iter().map(|(name, _)| *name).chain([SUPERVISOR]).collect();
        let numbers: Vec<_> =
            sockets.iter().map(|(_, socket)| socket.as_raw_fd()).chain([theirs.as_raw_fd()]).collect();
        // What the standard library opens for the child must not stand where the sockets will.
        let mut fillers = vec![File::open("/dev/null")?];
        while fillers.last().is_some_and(|last| last.as_raw_fd() < place(numbers.len())) {
            fillers.push(File::open("/dev/null")?);
        }
        let mut plan = self.plan(&names, numbers)?;
        let mut command = Command::new(&self.path);
        // SAFETY: in the child only system calls are made that may be made after fork(2); nothing is allocated.
        unsafe { command.pre_exec(move || Err(plan.become_server())) };
        Ok((command.spawn()?, ours))
    }

    fn plan(&self, names: &[&str], sockets: Vec<RawFd>) -> io::Result<Plan> {
        let path = text(self.path.clone().into_os_string())?;
        let mut strings = Vec::new();
        for (name, value) in env::vars_os().filter(|(name, _)| !NOT_PASSED_ON.iter().any(|not| name == not)) {
            let mut entry = name;
            entry.push("=");
            entry.push(value);
            strings.push(text(entry)?);
        }
        strings.push(text(format!("LISTEN_FDS={}", names.len()).into())?);
        strings.push(text(format!("LISTEN_FDNAMES={}", names.join(":")).into())?);
        let mut own_id = b"LISTEN_PID=".to_vec();
        own_id.resize(own_id.len() + DIGITS + 1, 0);
        // The place of the id, filled in the child, and the end.
        let environment = strings.iter().map(|entry| entry.as_ptr()).chain([ptr::null(), ptr::null()]).collect();
        let words = self.arguments.clone();
        let arguments = words.iter().map(|word| word.as_ptr()).chain([ptr::null()]).collect();
        strings.extend(words);
        // SAFETY: no memory is passed.
        let parent = unsafe { libc::getpid() };
        let aside = Vec::with_capacity(sockets.len());
        let own_id = own_id.into_boxed_slice();
        Ok(Plan { path, arguments, environment, _strings: strings, own_id, parent, sockets, aside })
    }
}

impl Plan {
    /// In the child. Returns only if it fails.
    fn become_server(&mut self) -> io::Error {
        let failed = io::Error::last_os_error;
        let count = self.sockets.len();
        // SAFETY: numbers only. The parent may have died before the signal was asked for.
        unsafe {
            if libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGTERM) != 0 {
                return failed();
            }
            if libc::getppid() != self.parent {
                return io::Error::from_raw_os_error(libc::ESRCH);
            }
        }
        for &socket in &self.sockets {
            // SAFETY: numbers only.
            let aside = unsafe { libc::fcntl(socket, libc::F_DUPFD_CLOEXEC, place(count)) };
            if aside < 0 {
                return failed();
            }
            self.aside.push(aside); // Within its capacity.
        }
        for (index, &aside) in self.aside.iter().enumerate() {
            // SAFETY: numbers only. A copy made so survives exec.
            if unsafe { libc::dup2(aside, place(index)) } < 0 {
                return failed();
            }
        }
        let above = libc::c_uint::try_from(place(count)).unwrap_or(libc::c_uint::MAX);
        // SAFETY: numbers only. A kernel without it leaves open what somebody has opened without O_CLOEXEC.
        unsafe { libc::syscall(libc::SYS_close_range, above, libc::c_uint::MAX, libc::CLOSE_RANGE_CLOEXEC) };
        self.write_own_id();
        // SAFETY: strings that end with zero, and lists of them that end with null, all owned by `self`.
        unsafe { libc::execve(self.path.as_ptr(), self.arguments.as_ptr(), self.environment.as_ptr()) };
        failed()
    }

    /// No formatting in here: it might allocate.
    fn write_own_id(&mut self) {
        // SAFETY: no memory is passed.
        let mut id = unsafe { libc::getpid() }.unsigned_abs();
        let (mut at, mut divisor) = (self.own_id.len() - 1 - DIGITS, 1_000_000_000);
        while divisor > 0 {
            let digit = u8::try_from(id / divisor).unwrap_or(0);
            // No zeros in front.
            if digit > 0 || divisor == 1 || self.own_id[at - 1] != b'=' {
                self.own_id[at] = b'0' + digit;
                at += 1;
            }
            (id, divisor) = (id % divisor, divisor / 10);
        }
        let place = self.environment.len() - 2;
        self.environment[place] = self.own_id.as_ptr().cast();
    }
}

/// Where the socket of that index stands in the child.
fn place(index: usize) -> RawFd {
    3 + RawFd::try_from(index).unwrap_or(RawFd::MAX - 3)
}

fn text(text: OsString) -> io::Result<CString> {
    CString::new(text.into_vec()).map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))
}

/// What was for us alone.
const NOT_PASSED_ON: &[&str] = &["LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES", "NOTIFY_SOCKET", "WATCHDOG_PID"];
/// Of the largest process id.
const DIGITS: usize = 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_id_is_written_where_the_environment_has_room_for_it() {
        let program = Program::own().expect("a program");
        let mut plan = program.plan(&["listen", SUPERVISOR], vec![3, 4]).expect("no zeros in the environment");
        plan.write_own_id();
        let text = std::ffi::CStr::from_bytes_until_nul(&plan.own_id).expect("an end").to_str().expect("digits");
        assert_eq!(text, format!("LISTEN_PID={}", std::process::id()));
        assert_eq!(plan.arguments.len(), env::args_os().count() + 1);
    }
}
