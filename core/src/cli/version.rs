//! What this binary was built from. The build script supplies it; without it the version alone is said.

use std::sync::LazyLock;

/// Version, then in brackets what is known of the commit and the compiler.
pub(super) fn text() -> &'static str {
    static TEXT: LazyLock<String> = LazyLock::new(|| {
        let (commit, compiler) = (option_env!("SOCKETSHARD_BUILD_COMMIT"), option_env!("SOCKETSHARD_BUILD_RUSTC"));
        describe(env!("CARGO_PKG_VERSION"), commit, compiler)
    });
    &TEXT
}

fn describe(version: &str, commit: Option<&str>, compiler: Option<&str>) -> String {
    let commit = commit.filter(|commit| !commit.is_empty()).map(|commit| format!("commit {commit}"));
    let compiler = compiler.filter(|compiler| !compiler.is_empty()).map(str::to_owned);
    let details: Vec<_> = commit.into_iter().chain(compiler).collect();
    if details.is_empty() { version.to_owned() } else { format!("{version} ({})", details.join(", ")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_known_is_not_said() {
        assert_eq!(describe("1.2.3", None, None), "1.2.3");
        assert_eq!(describe("1.2.3", Some(""), Some("")), "1.2.3");
        assert_eq!(describe("1.2.3", None, Some("rustc 1.95.0")), "1.2.3 (rustc 1.95.0)");
        assert_eq!(describe("1.2.3", Some("abc"), Some("rustc 1.95.0")), "1.2.3 (commit abc, rustc 1.95.0)");
    }
}
