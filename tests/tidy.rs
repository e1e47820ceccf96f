//! Holds the architecture's promises, which are chiefly absences, against the tree as it lies on disk: every finding
//! names its file and line. The rules are in `tidy/`, each with a test that shows it fail.

#[path = "tidy/rules.rs"]
mod rules;
#[path = "tidy/source.rs"]
mod source;
#[path = "tidy/threats.rs"]
mod threats;
#[path = "tidy/tree.rs"]
mod tree;

use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use rules::Finding;
use source::Source;

/// The files that may hold `unsafe`: system calls, memory that the kernel writes to, and bytes that were just seen to be
/// ASCII, nothing else.
const UNSAFE_FILES: &[&str] = &[
    "bench/src/bin/peers/child.rs",
    "bench/src/bin/recovery/server.rs",
    "bench/tests/steady_state.rs",
    "codec/src/websocket/mask.rs",
    "codec/tests/no_allocation.rs",
    "core/src/app/tests/allocations.rs",
    "core/src/net/doorbell.rs",
    "core/src/net/inherited.rs",
    "core/src/net/peer_name.rs",
    "core/src/net/receive.rs",
    "core/src/net/ring.rs",
    "core/src/net/sockets.rs",
    "core/src/net/tests/mod.rs",
    "core/src/net/tests/offload.rs",
    "core/src/net/tls/kernel.rs",
    "core/src/server/checks.rs",
    "core/src/server/driver.rs",
    "core/src/server/memory.rs",
    "core/src/server/placement.rs",
    "core/src/server/reactor.rs",
    "core/src/server/signals.rs",
    "core/src/server/supervisor/spawn.rs",
    "core/src/server/supervisor/wait.rs",
    "core/src/server/tests/descriptors.rs",
    "loadgen/src/machine.rs",
    "loadgen/src/net/bell.rs",
    "loadgen/src/net/buffers.rs",
    "loadgen/src/net/engine.rs",
    "loadgen/src/net/ring.rs",
    "loadgen/src/net/socket.rs",
    "loadgen/src/server/spawn.rs",
    "tests/src/system.rs",
];

static ROOT: LazyLock<PathBuf> = LazyLock::new(|| {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent();
    root.expect("the tests' crate lies in the tree").to_owned()
});

static FILES: LazyLock<Vec<PathBuf>> = LazyLock::new(|| tree::files(&ROOT, &ROOT));

static SOURCES: LazyLock<Vec<Source>> = LazyLock::new(|| {
    let rust = FILES.iter().filter(|path| path.extension().is_some_and(|extension| extension == "rs"));
    let mut sources: Vec<_> = rust.filter_map(|path| Some(Source::new(path.to_str()?, &text(path)?))).collect();
    let tests: Vec<_> = sources.iter().flat_map(Source::test_modules).collect();
    for source in &mut sources {
        let stem = source.path.trim_end_matches(".rs");
        let belongs = |module: &String| stem == module || stem.starts_with(&format!("{module}/"));
        source.is_test = source.is_test || tests.iter().any(belongs);
    }
    sources
});

/// The file's text; `None` where it is not text or has gone meanwhile.
fn text(path: &Path) -> Option<String> {
    std::fs::read_to_string(ROOT.join(path)).ok()
}

fn hold(findings: impl Iterator<Item = Finding>) {
    let findings: Vec<_> = findings.map(|finding| finding.to_string()).collect();
    assert!(findings.is_empty(), "\n{}\n", findings.join("\n"));
}

fn hold_everywhere(rule: fn(&Source) -> Vec<Finding>) {
    assert!(SOURCES.len() > 60, "the tree is found ({} files)", SOURCES.len());
    hold(SOURCES.iter().flat_map(rule));
}

#[test]
fn every_file_says_what_it_is() {
    hold_everywhere(rules::header);
}

#[test]
fn no_file_is_too_long() {
    hold_everywhere(rules::file_length);
}

#[test]
fn no_function_is_too_long() {
    hold_everywhere(rules::function_length);
}

#[test]
fn nothing_that_ships_unwraps() {
    hold_everywhere(rules::unwraps);
}

#[test]
fn nothing_is_left_half_done() {
    hold_everywhere(rules::leftovers);
}

#[test]
fn shard_and_codec_know_no_world() {
    hold_everywhere(rules::purity);
}

#[test]
fn the_runtime_stays_in_its_rooms() {
    hold_everywhere(rules::runtime_rooms);
}

#[test]
fn the_demo_uses_the_public_api_only() {
    hold_everywhere(rules::demo_is_public);
}

#[test]
fn unsafe_stays_in_the_listed_files_and_gives_its_reasons() {
    hold(SOURCES.iter().flat_map(|source| rules::unsafes(source, UNSAFE_FILES)));
    let exists = |file: &&&str| SOURCES.iter().any(|source| source.path == **file);
    let gone: Vec<_> = UNSAFE_FILES.iter().filter(|file| !exists(file)).collect();
    assert!(gone.is_empty(), "listed for unsafe and gone: {gone:?}");
}

#[test]
fn only_the_pinned_names_lie_at_the_top() {
    let entries = std::fs::read_dir(&*ROOT).expect("the root can be read");
    let names: Vec<_> = entries.map(|entry| entry.expect("an entry can be read").file_name()).collect();
    hold(tree::top_level(names.iter().filter_map(|name| name.to_str())).into_iter());
}

#[test]
fn no_arrow_points_up() {
    let manifests = FILES.iter().filter(|path| path.ends_with("Cargo.toml") && path.components().count() > 1);
    hold(manifests.flat_map(|path| tree::manifest(path.to_str().unwrap_or_default(), &text(path).unwrap_or_default())));
}

#[test]
fn every_threat_has_its_test() {
    const TABLE: &str = "core/docs/security.md";
    let tests = SOURCES.iter().flat_map(|source| threats::tests(&source.code)).collect();
    let played = threats::played(&text(Path::new("loadgen/src/attack/rows/mod.rs")).expect("the tool has its rows"));
    hold(threats::table(TABLE, &text(Path::new(TABLE)).expect("it is there"), &tests, &played).into_iter());
}

#[test]
fn no_file_names_the_machine_it_was_written_on() {
    let findings = |path: &PathBuf| {
        let name = path.to_str()?;
        let text = text(path)?;
        Some([tree::machine_paths(name, &text), tree::registries(name, &text)].concat())
    };
    hold(FILES.iter().filter_map(findings).flatten());
}

/// An image is built by the oldest compiler that is promised to do, from everything that git keeps.
#[test]
fn an_image_is_built_from_the_whole_tree_by_the_promised_compiler() {
    let read = |path: &str| text(Path::new(path)).unwrap_or_else(|| panic!("there is {path}"));
    let ignored = read(".dockerignore");
    hold(FILES.iter().flat_map(|path| tree::left_out(path, &ignored)));
    let manifest = read("Cargo.toml");
    let version =
        manifest.lines().find_map(|line| line.strip_prefix("rust-version = ")).expect("a version is promised");
    let from = format!("FROM rust:{}-", version.trim_matches('"'));
    assert!(read("core/deploy/Dockerfile").lines().any(|line| line.starts_with(&from)), "{from}");
}
