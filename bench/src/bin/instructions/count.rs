//! Counting: this program runs itself under callgrind. What is found is exact but for the run's own preparation, which
//! the difference of two lengths removes.

use std::io::ErrorKind;
use std::process::Command;

use bench::cases::Case;

/// Does the work of these cases, as the child under callgrind.
pub(crate) fn work(cases: &[&Case], iterations: u64) {
    for case in cases {
        (case.run)(iterations);
    }
}

/// Instructions of one operation.
#[allow(clippy::cast_precision_loss)]
pub(crate) fn per_operation(case: &Case) -> Result<f64, String> {
    let once = instructions(case, case.iterations)?;
    let twice = instructions(case, 2 * case.iterations)?;
    let work = twice.checked_sub(once).filter(|&work| work > 0);
    let work = work.ok_or_else(|| format!("{}: twice the iterations took no more instructions", case.name))?;
    Ok(work as f64 / (case.iterations * case.operations) as f64)
}

/// What counts and what is counted: callgrind, the compiler, the vector instructions that callgrind shows.
pub(crate) fn tools() -> Result<String, String> {
    let output = Command::new("valgrind").arg("--version").output().map_err(|error| match error.kind() {
        ErrorKind::NotFound => {
            "valgrind is not installed; on Debian and Ubuntu: apt-get install --yes valgrind".to_owned()
        }
        _ => format!("valgrind cannot be started: {error}"),
    })?;
    let valgrind = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    let rustc = Command::new(std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into())).arg("--version").output();
    let rustc = rustc.map_or_else(|_| "unknown rustc".to_owned(), |output| short(&output.stdout));
    Ok(format!("{valgrind}, {rustc}, {}", vectors()))
}

/// `rustc 1.95.0` of the compiler's longer line.
fn short(version: &[u8]) -> String {
    String::from_utf8_lossy(version).split(' ').take(2).collect::<Vec<_>>().join(" ").trim().to_owned()
}

/// The widest vectors that code under callgrind can find: it hides AVX-512 and passes AVX2 on.
fn vectors() -> &'static str {
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("avx2") {
        return "x86-64 with AVX2";
    }
    if cfg!(target_arch = "x86_64") { "x86-64 without AVX2" } else { std::env::consts::ARCH }
}

/// All instructions of a run that long.
fn instructions(case: &Case, iterations: u64) -> Result<u64, String> {
    let own = std::env::current_exe().map_err(|error| format!("cannot find this program: {error}"))?;
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null", "--"])
        .arg(own)
        .args([case.name, "--run", &iterations.to_string()])
        .output()
        .map_err(|error| format!("valgrind cannot be started: {error}"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        return Err(format!("{} ended under callgrind with {}:\n{said}", case.name, output.status));
    }
    collected(&said).ok_or_else(|| format!("callgrind did not say what it collected:\n{said}"))
}

/// The number in `==1234== Collected : 567`.
fn collected(said: &str) -> Option<u64> {
    let line = said.lines().find_map(|line| line.split_once("Collected :"))?;
    line.1.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn callgrinds_total_is_understood() {
        let said = "==7== Callgrind, a call-graph\n==7== \n==7== Events    : Ir\n==7== Collected : 4107226\n==7== \n";
        assert_eq!(collected(said), Some(4_107_226));
        assert_eq!(collected("==7== Collected : none"), None);
        assert_eq!(collected(""), None);
    }

    #[test]
    fn versions_are_short() {
        assert_eq!(short(b"rustc 1.95.0 (59807616e 2026-04-14)\n"), "rustc 1.95.0");
        assert_eq!(short(b""), "");
    }
}
