//! What a stored curve says of where it was measured. What cannot be read is left out.

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

/// The machine.
pub(crate) fn machine() -> Value {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let cpuinfo = read("/proc/cpuinfo");
    let model = cpuinfo.lines().find(|line| line.starts_with("model name")).and_then(|line| line.split_once(':'));
    let meminfo = read("/proc/meminfo");
    let memory = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"));
    json!({
        "kernel": read("/proc/sys/kernel/osrelease").trim(),
        "cpu_model": model.map(|(_, name)| name.trim()),
        "cpus": cpus(),
        "memory": memory.map(str::trim),
        "congestion_control": read("/proc/sys/net/ipv4/tcp_congestion_control").trim(),
    })
}

/// CPUs that this process may use.
pub(crate) fn cpus() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

/// The commit of the tree that this program was built from, with a `+` when files were changed since.
pub(crate) fn commit() -> Option<String> {
    let tree = Path::new(env!("CARGO_MANIFEST_DIR"));
    let git = |arguments: &[&str]| {
        let output = Command::new("git").arg("-C").arg(tree).args(arguments).output().ok()?;
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let commit = git(&["rev-parse", "--short=12", "HEAD"])?;
    let is_clean = git(&["status", "--porcelain", "--untracked-files=no"])?.is_empty();
    Some(if is_clean { commit } else { commit + "+" })
}

/// What was typed, without the machine's folders.
pub(crate) fn command() -> String {
    let mut words = std::env::args();
    let program = words.next().unwrap_or_default();
    let program = Path::new(&program).file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
    std::iter::once(program).chain(words.map(|word| shorten(&word))).collect::<Vec<_>>().join(" ")
}

/// The last name of a path.
fn shorten(word: &str) -> String {
    if word.starts_with('/') {
        let name = Path::new(word).file_name().unwrap_or_default();
        return format!("…/{}", name.to_string_lossy());
    }
    word.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_of_the_machine_stay_out_of_the_command() {
        assert_eq!(shorten("/somewhere/out"), "…/out");
        assert_eq!(shorten("--curve"), "--curve");
    }
}
