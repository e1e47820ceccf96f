//! The codes the process ends with, for scripts and service managers to tell what to do. The server's own start-up
//! errors choose among them; a test holds the list and the errors together.

/// It did what it was asked to.
pub(super) const OK: u8 = 0;

/// It failed while running, or the machine has a problem.
pub(super) const FAILURE: u8 = 1;

/// The command line is wrong.
pub(super) const USAGE: u8 = 2;

/// The settings do not fit together.
pub(super) const CONFIG: u8 = 3;

/// Every code and what it means, as `--help` and the README print it.
pub(super) const CODES: &[(u8, &str)] = &[
    (OK, "stopped as asked"),
    (FAILURE, "failed while running, and the last log line says why; or doctor found a problem"),
    (USAGE, "the command line is wrong"),
    (CONFIG, "the settings do not fit together"),
    (10, "io_uring is blocked here, by a sysctl or by a seccomp filter"),
    (11, "too little memory may be locked (ulimit -l)"),
    (12, "too few files may be open (ulimit -n)"),
    (13, "a CPU of --cpus is not allowed to this process, or the number of shards cannot be"),
    (66, "a key or certificate cannot be read, or is none"),
    (69, "the kernel has no io_uring, or one that lacks what is needed"),
    (70, "a shard failed, which is a bug"),
    (71, "a system call failed at the start"),
    (75, "the port is taken; try again later"),
    (76, "an address of --listen cannot be listened on, or a socket that was handed over is none to listen on"),
    (77, "this process may not listen on that port"),
    (130, "ended at once by a second SIGINT"),
    (143, "ended at once by a second SIGTERM"),
];

/// The list as text, one code a line.
pub(super) fn text() -> String {
    CODES.iter().map(|(code, meaning)| format!("  {code:>3}  {meaning}\n")).collect()
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;
    use crate::server::StartError;

    #[test]
    fn every_start_up_error_ends_with_a_listed_code() {
        let message = String::new;
        let errors = [
            StartError::RingForbidden { disabled: None },
            StartError::RingUnsupported { missing: "a part", kernel: message() },
            StartError::Memlock { allowed: 0, needed: 1 },
            StartError::Descriptors { allowed: 0, needed: 1 },
            StartError::CpuNotAllowed { cpu: 1, allowed: vec![0] },
            StartError::ShardCount { shards: 0 },
            StartError::System { call: "poll", error: io::ErrorKind::Other.into() },
            StartError::Executor { shard: 0, message: message() },
            StartError::ShardFailed { shard: 0, message: message() },
        ];
        for error in errors {
            let code = error.exit_code();
            assert!(code != OK && CODES.iter().any(|(listed, _)| *listed == code), "{code}: {error}");
        }
    }

    #[test]
    fn no_code_means_two_things() {
        assert!(CODES.windows(2).all(|pair| pair[0].0 < pair[1].0), "sorted, and so without doubles");
    }
}
