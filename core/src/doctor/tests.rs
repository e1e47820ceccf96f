//! Every finding on machines made of files: one on which all is well, and for each fault the same with that fault.

use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use super::diagnosis::Diagnosis;
use super::finding::{Finding, Level};
use super::{Machine, examine};
use crate::config::{Settings, SlowConsumer};
use crate::server::StartError;

/// A machine in a folder of its own, which goes with it.
struct Fake {
    root: PathBuf,
    probe: fn() -> Result<(), StartError>,
}

impl Fake {
    /// Four CPUs, 8 GB, enough of everything.
    fn good() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("socketshard-doctor-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let fake = Self { root: std::env::temp_dir().join(name), probe: || Ok(()) };
        for (path, text) in GOOD {
            fake.write(path, text);
        }
        for cpu in 0..4 {
            fake.write(&format!("sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list"), &cpu.to_string());
            fake.write(&format!("sys/devices/system/cpu/cpu{cpu}/cpufreq/scaling_governor"), "performance");
        }
        fake
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.root.join(path);
        fs::create_dir_all(path.parent().expect("a path below the root")).expect("the temporary folder is ours");
        fs::write(path, format!("{text}\n")).expect("the temporary folder is ours");
    }

    fn with(self, path: &str, text: &str) -> Self {
        self.write(path, text);
        self
    }

    fn without(self, path: &str) -> Self {
        fs::remove_file(self.root.join(path)).expect("it was there");
        self
    }

    fn replaced(self, path: &str, from: &str, to: &str) -> Self {
        let text = fs::read_to_string(self.root.join(path)).expect("it was there");
        assert!(text.contains(from), "{text}");
        self.with(path, text.replace(from, to).trim_end())
    }

    fn examine(&self, settings: &Settings) -> Diagnosis {
        examine(&Machine::new(&self.root, self.probe), settings)
    }

    /// What is found about one subject, for 1,000 connections per shard on all four CPUs.
    fn about(&self, subject: &str) -> Finding {
        find(&self.examine(&plan()), subject)
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.root);
    }
}

fn plan() -> Settings {
    let mut settings = Settings::default();
    settings.limits.connections_max = 1_000;
    settings
}

fn find(diagnosis: &Diagnosis, subject: &str) -> Finding {
    let found: Vec<_> = diagnosis.findings.iter().filter(|finding| finding.subject == subject).collect();
    assert_eq!(found.len(), 1, "{subject} is judged once: {diagnosis:?}");
    found[0].clone()
}

/// The level, and words that the whole finding must have.
fn expect(finding: &Finding, level: Level, words: &[&str]) {
    assert_eq!(finding.level, level, "{finding:?}");
    let text = format!("{} {} {}", finding.found, finding.why, finding.change.as_deref().unwrap_or_default());
    for word in words {
        assert!(text.contains(word), "{word:?} is said: {finding:?}");
    }
    if level >= Level::Warning {
        assert!(!finding.why.is_empty() && (finding.change.is_some() || finding.subject == "ring"), "{finding:?}");
    }
}

#[test]
fn a_good_machine_has_nothing_but_good_findings() {
    let diagnosis = Fake::good().examine(&plan());
    assert!(diagnosis.findings.iter().all(|finding| finding.level == Level::Ok), "{}", diagnosis.text());
    assert!(diagnosis.findings.len() > 20 && !diagnosis.has_problems());
    assert!(diagnosis.text().ends_with("0 problems, 0 warnings, 0 notes\n"), "{}", diagnosis.text());
}

#[test]
fn what_cannot_be_read_is_unknown_and_no_problem() {
    for (path, text) in GOOD {
        // Two files of which a good kernel may lack one, and the process's own status, which places the shards.
        let may_be_missing =
            path.ends_with("io_uring_disabled") || path.ends_with("cpu.max") || path.ends_with("memory.max");
        let diagnosis = Fake::good().without(path).examine(&plan());
        let unknown = diagnosis.findings.iter().any(|finding| finding.found.starts_with("unknown"));
        assert!(!diagnosis.has_problems(), "{path}: {}", diagnosis.text());
        let other = ["net/device", "node1", "memory.current", "proc/meminfo", "lo/mtu", "nr_open", "proc/interrupts"];
        if !may_be_missing && !other.iter().any(|part| path.contains(part)) {
            assert!(unknown, "{path} ({text}): {}", diagnosis.text());
        }
    }
}

#[test]
fn the_kernels_tls_is_told_of() {
    let has = Fake::good().about("kernel-tls");
    let lacks = Fake::good().with("proc/sys/net/ipv4/tcp_available_ulp", "espintcp mptcp").about("kernel-tls");
    assert!(has.found.contains("has it") && lacks.found.contains("modprobe tls"), "{has:?} {lacks:?}");
    assert!(has.level == Level::Ok && lacks.level == Level::Ok);
}

#[test]
fn files_of_another_shape_are_unknown() {
    for (path, subject) in [
        ("proc/sys/kernel/osrelease", "kernel"),
        ("proc/sys/net/core/somaxconn", "somaxconn"),
        ("proc/sys/net/ipv4/tcp_mem", "tcp_mem"),
        ("proc/sys/net/ipv4/ip_local_port_range", "port-range"),
        ("proc/sys/fs/file-nr", "file-max"),
        ("proc/self/limits", "descriptors"),
        ("proc/self/timerslack_ns", "timer-slack"),
        ("sys/devices/system/node/online", "numa"),
    ] {
        for text in ["", "nonsense", "-1", "99999999999999999999999"] {
            let finding = Fake::good().with(path, text).about(subject);
            assert!(finding.level == Level::Note && finding.found.starts_with("unknown"), "{path} {text}: {finding:?}");
        }
    }
}

#[test]
fn the_kernel_must_be_new_enough() {
    for (release, level) in [
        ("5.15.0-91-generic", Level::Problem),
        ("6.3.9", Level::Problem),
        ("6.4.0", Level::Note),
        ("6.6", Level::Ok),
        ("10.0-rc1", Level::Ok),
    ] {
        expect(&Fake::good().with("proc/sys/kernel/osrelease", release).about("kernel"), level, &[release]);
    }
}

#[test]
fn io_uring_must_be_allowed_and_work() {
    let blocked = |value: &str| {
        let mut fake = Fake::good().with("proc/sys/kernel/io_uring_disabled", value);
        fake.probe = || Err(StartError::RingForbidden { disabled: None });
        fake
    };
    expect(
        &blocked("2").about("io_uring_disabled"),
        Level::Problem,
        &["everybody", "sysctl -w kernel.io_uring_disabled=0"],
    );
    expect(&blocked("1").about("io_uring_disabled"), Level::Problem, &["the unprivileged"]);
    expect(&blocked("0").about("io_uring_disabled"), Level::Ok, &[]);
    expect(&blocked("0").about("ring"), Level::Problem, &["seccomp", "does not start"]);
    expect(
        &Fake::good().with("proc/sys/kernel/io_uring_disabled", "1").about("io_uring_disabled"),
        Level::Ok,
        &["privileged"],
    );
    let filtered = |fake: Fake| fake.replaced("proc/self/status", "Seccomp:\t0", "Seccomp:\t2");
    expect(&filtered(Fake::good()).about("seccomp"), Level::Ok, &["lets io_uring through"]);
    expect(&filtered(blocked("0")).about("seccomp"), Level::Warning, &["docker run", "io_uring_enter"]);
    assert!(blocked("0").examine(&plan()).has_problems());
}

#[test]
fn a_slow_clock_is_told() {
    let path = "sys/devices/system/clocksource/clocksource0/current_clocksource";
    expect(&Fake::good().with(path, "hpet").about("clock"), Level::Warning, &["hpet", "echo tsc"]);
}

#[test]
fn descriptors_are_counted_against_the_plan() {
    let files =
        |hard: &str| Fake::good().replaced("proc/self/limits", "4096                 1048576", &format!("1024 {hard}"));
    expect(&files("20000").about("descriptors"), Level::Ok, &["19904"]);
    expect(&files("4000").about("descriptors"), Level::Warning, &["3904", "4k", "LimitNOFILE=4096"]);
    expect(&files("90").about("descriptors"), Level::Problem, &["needs 96"]);
    expect(
        &files("4000").with("proc/sys/fs/nr_open", "3000").about("descriptors"),
        Level::Warning,
        &["sysctl -w fs.nr_open=4096"],
    );
    expect(&files("unlimited").about("descriptors"), Level::Ok, &[]);
    let full = Fake::good().with("proc/sys/fs/file-nr", "9000 0 10000");
    expect(&full.about("file-max"), Level::Warning, &["sysctl -w fs.file-max=17000"]);
}

#[test]
fn places_in_the_rings_are_counted_per_shard() {
    let fake = Fake::good().replaced("proc/self/limits", "4096                 1048576", "1024                 20000");
    let direct = |places: u32, connections: usize| {
        let mut settings = plan();
        settings.ring.direct_descriptors = places;
        settings.limits.connections_max = connections;
        let diagnosis = fake.examine(&settings);
        let capacity = diagnosis.capacity.expect("the shards have a place");
        (find(&diagnosis, "descriptors"), capacity.by_descriptors)
    };
    let (finding, connections) = direct(20_000, 20_000);
    expect(&finding, Level::Ok, &["80k places", "20k of each"]);
    assert_eq!(connections, Some(80_000));
    expect(&direct(20_001, 1_000).0, Level::Problem, &["LimitNOFILE=20001"]);
    expect(&direct(10_000, 20_000).0, Level::Warning, &["80k", "--direct-descriptors"]);
}

#[test]
fn locked_memory_is_counted_per_shard() {
    let memlock = |bytes: &str| {
        Fake::good().replaced("proc/self/limits", "8388608              8388608", &format!("{bytes} {bytes}"))
    };
    expect(&memlock("65536").about("memlock"), Level::Problem, &["512KiB", "ulimit -Hl 3072"]);
    expect(&memlock("524288").about("memlock"), Level::Warning, &["4 shards", "3MiB", "LimitMEMLOCK=3145728"]);
    expect(&memlock("unlimited").about("memlock"), Level::Ok, &["unlimited"]);
    let privileged =
        memlock("524288").replaced("proc/self/status", "CapEff:\t0000000000000000", "CapEff:\t0000000000004000");
    expect(&privileged.about("memlock"), Level::Ok, &[]);
}

#[test]
fn the_queue_of_a_listener_is_compared_with_the_flag() {
    let fake = Fake::good().with("proc/sys/net/core/somaxconn", "128");
    expect(&fake.about("somaxconn"), Level::Warning, &["4096", "sysctl -w net.core.somaxconn=4096"]);
    let settings = Settings { backlog: 100, ..plan() };
    expect(&find(&fake.examine(&settings), "somaxconn"), Level::Ok, &["128"]);
}

#[test]
fn ports_are_judged_by_who_may_have_them() {
    let on = |port: u16| Settings { listen: vec![([0, 0, 0, 0], port).into()], ..plan() };
    let fake = Fake::good();
    expect(&find(&fake.examine(&on(80)), "port"), Level::Problem, &["80 is below 1024", "cap_net_bind_service"]);
    expect(&find(&fake.examine(&on(40_000)), "port-range"), Level::Warning, &["ip_local_reserved_ports=40000"]);
    expect(&find(&fake.examine(&on(0)), "port"), Level::Ok, &[]);
    let privileged =
        Fake::good().replaced("proc/self/status", "CapEff:\t0000000000000000", "CapEff:\t0000000000000400");
    expect(&find(&privileged.examine(&on(80)), "port"), Level::Ok, &["this process is"]);
    let narrow = Fake::good().with("proc/sys/net/ipv4/ip_local_port_range", "50000\t51000");
    expect(&narrow.about("port-range"), Level::Note, &["1001"]);
}

#[test]
fn tcp_is_judged_by_what_it_costs() {
    let congestion = Fake::good().with("proc/sys/net/ipv4/tcp_congestion_control", "bbr");
    expect(&congestion.about("congestion"), Level::Note, &["10 to 12 %", "tcp_congestion_control=cubic"]);
    let memory = Fake::good().with("proc/sys/net/ipv4/tcp_mem", "1000\t2000\t3000");
    expect(&memory.about("tcp_mem"), Level::Note, &["4k connections", "tcp_mem='4000 8000 16000'"]);
    let buffers = Fake::good().with("proc/sys/net/ipv4/tcp_wmem", "4096\t16384\t67108864");
    expect(&buffers.about("tcp_wmem"), Level::Note, &["64MiB", "--outbox-bytes-max"]);
}

#[test]
fn shards_are_placed_as_the_server_would() {
    let fake = Fake::good();
    let diagnosis = |shards, cpus: &[usize]| fake.examine(&Settings { shards, cpus: Some(cpus.to_vec()), ..plan() });
    expect(&find(&diagnosis(None, &[1, 7]), "shards"), Level::Problem, &["CPU 7"]);
    assert!(diagnosis(None, &[1, 7]).text().contains("capacity: unknown"));
    expect(&find(&diagnosis(Some(3), &[1, 2]), "shards"), Level::Warning, &["3 on CPUs 1-2", "--shards 2"]);
    expect(&find(&diagnosis(Some(1), &[1, 2]), "shards"), Level::Ok, &["1 on CPUs 1"]);
}

#[test]
fn sibling_threads_are_told_with_a_better_list() {
    let path = |cpu: usize| format!("sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list");
    let fake = Fake::good().with(&path(0), "0,2").with(&path(2), "0,2").with(&path(1), "1,3").with(&path(3), "1,3");
    expect(&fake.about("siblings"), Level::Warning, &["4 CPUs are 2 cores", "--cpus 0-1"]);
    let apart = Settings { cpus: Some(vec![0, 1]), ..plan() };
    expect(&find(&fake.examine(&apart), "siblings"), Level::Ok, &[]);
}

#[test]
fn governors_and_nodes_are_told_for_the_shards_own_cpus() {
    let fake = Fake::good().with("sys/devices/system/cpu/cpu2/cpufreq/scaling_governor", "powersave");
    expect(&fake.about("governor"), Level::Warning, &["powersave on CPUs 2", "cpupower -c 2"]);
    let elsewhere = Settings { cpus: Some(vec![0, 1]), ..plan() };
    expect(&find(&fake.examine(&elsewhere), "governor"), Level::Ok, &[]);
    let fake = Fake::good();
    fs::remove_dir_all(fake.root.join("sys/devices/system/cpu/cpu0/cpufreq")).expect("it was there");
    let virtual_cpu = Settings { cpus: Some(vec![0]), ..plan() };
    expect(&find(&fake.examine(&virtual_cpu), "governor"), Level::Ok, &["virtual machine"]);
    let fake = Fake::good()
        .with("sys/devices/system/node/online", "0-1")
        .with("sys/devices/system/node/node0/cpulist", "0-1")
        .with("sys/devices/system/node/node1/cpulist", "2-3");
    expect(&fake.about("numa"), Level::Note, &["2 memory nodes", "--cpus 0-1"]);
    expect(&find(&fake.examine(&elsewhere), "numa"), Level::Ok, &["all shards on one"]);
}

#[test]
fn one_cpu_that_serves_the_network_alone_is_told() {
    let table = |first: u32, second: u32| {
        format!(
            "      CPU0 CPU1 CPU2 CPU3\n 24: {first} {second} 0 0 PCI-MSIX eth0-rx\n  8: 9999999 0 0 0 rtc0\nNMI: 0 0 0 0 Non-maskable"
        )
    };
    let fake = Fake::good().with("proc/interrupts", &table(500_000, 10));
    expect(
        &fake.about("interrupts"),
        Level::Warning,
        &["CPU 0 serves 99 %", "ethtool -L eth0 combined 4", "echo f > "],
    );
    let one = Settings { cpus: Some(vec![1]), ..plan() };
    expect(&find(&fake.examine(&one), "interrupts"), Level::Ok, &[]);
    let steered = fake.with("sys/class/net/eth0/queues/rx-0/rps_cpus", "00000000,0000000f");
    expect(&steered.about("interrupts"), Level::Ok, &[]);
    let fake = Fake::good().with("proc/interrupts", &table(500_000, 450_000));
    expect(&fake.about("interrupts"), Level::Ok, &["52 %"]);
    let quiet = Fake::good().with("proc/interrupts", &table(500, 0));
    expect(&quiet.about("interrupts"), Level::Note, &["unknown", "under load"]);
}

#[test]
fn control_groups_of_both_versions_are_read_with_their_parents() {
    let second =
        Fake::good().with("sys/fs/cgroup/a/cpu.max", "250000 100000").with("sys/fs/cgroup/a/b/cpu.max", "max 100000");
    expect(&second.about("cpu-quota"), Level::Warning, &["2.500 CPUs", "--shards 2", "100 ms"]);
    let enough = Settings { shards: Some(2), ..plan() };
    expect(&find(&second.examine(&enough), "cpu-quota"), Level::Ok, &[]);
    let first = Fake::good()
        .with("proc/self/cgroup", "4:memory:/a\n1:cpu,cpuacct:/a")
        .with("sys/fs/cgroup/cpu/a/cpu.cfs_quota_us", "50000")
        .with("sys/fs/cgroup/cpu/a/cpu.cfs_period_us", "100000")
        .with("sys/fs/cgroup/memory/a/memory.limit_in_bytes", "1073741824")
        .with("sys/fs/cgroup/memory/a/memory.usage_in_bytes", "536870912")
        .with("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712");
    expect(&first.about("cpu-quota"), Level::Warning, &["0.500 CPUs", "--shards 1"]);
    expect(&first.about("memory-limit"), Level::Ok, &["1GiB", "512MiB are left"]);
    let unlimited = first.with("sys/fs/cgroup/cpu/a/cpu.cfs_quota_us", "-1");
    expect(&unlimited.about("cpu-quota"), Level::Ok, &["no limit"]);
}

#[test]
fn a_narrow_cpu_set_large_pages_and_slack_timers_are_notes() {
    let fake = Fake::good().with("sys/devices/system/cpu/online", "0-15");
    expect(&fake.about("cpuset"), Level::Note, &["0-3 of 0-15"]);
    let fake = Fake::good().with("sys/kernel/mm/transparent_hugepage/enabled", "[always] madvise never");
    expect(&fake.about("large-pages"), Level::Note, &["echo madvise"]);
    let fake = Fake::good().with("proc/self/timerslack_ns", "50000000");
    expect(&fake.about("timer-slack"), Level::Note, &["50000 us"]);
}

#[test]
fn the_capacity_is_the_least_of_its_bounds() {
    let fake = Fake::good();
    let capacity = |settings: &Settings| fake.examine(settings).capacity.expect("the shards have a place");
    let found = capacity(&plan());
    assert_eq!((found.by_settings, found.connections()), (4_000, Some(4_000)));
    let mut many = plan();
    many.limits.connections_max = 1_000_000;
    let found = capacity(&many);
    // 8 GiB less four times 4 MiB, of which 80 %, in pieces of 5,666 bytes.
    assert_eq!(found.by_memory, Some(((8 << 30) - (16 << 20)) / 100 * 80 / 5_666));
    assert_eq!(found.by_descriptors, Some(1_048_576 - 96));
    assert_eq!(found.connections(), Some(1_048_480));
    // Four CPUs at 6.32 us: 632,911; at 0.74 us: 5,405,405.
    assert_eq!((found.milli_cpus, found.messages), (4_000, (700_000, 6_000_000)));
    let halved =
        Fake::good().with("sys/fs/cgroup/a/cpu.max", "200000 100000").with("sys/fs/cgroup/a/memory.max", "1073741824");
    let found = halved.examine(&many).capacity.expect("the shards have a place");
    assert_eq!((found.milli_cpus, found.by_memory), (2_000, Some(((1 << 30) - (16 << 20)) / 100 * 80 / 5_666)));
    let blind = Fake::good().without("proc/meminfo").examine(&many);
    assert_eq!(blind.capacity.expect("the shards have a place").connections(), None);
    assert!(blind.text().contains("connections  unknown"), "{}", blind.text());
}

#[test]
fn the_json_says_the_same_as_the_text() {
    let fake = Fake::good().with("proc/sys/kernel/osrelease", "5.4.0").with("proc/sys/net/core/somaxconn", "128");
    let diagnosis = fake.examine(&Settings {
        limits: shard::Limits { slow_consumer: SlowConsumer::DropNewest, ..plan().limits },
        ..plan()
    });
    let json: serde_json::Value = serde_json::from_str(&diagnosis.json()).expect("it is JSON");
    assert_eq!((json["schema"].as_str(), json["problems"].as_bool()), (Some("socketshard-doctor/1"), Some(true)));
    let text = diagnosis.text();
    assert!(text.starts_with("problem  kernel "), "the worst comes first: {text}");
    assert!(text.ends_with("1 problem, 1 warning, 0 notes\n"), "{text}");
    let findings = json["findings"].as_array().expect("a list");
    assert_eq!(findings.len(), diagnosis.findings.len());
    for finding in findings {
        assert!(text.contains(finding["found"].as_str().expect("a text")), "{finding}");
    }
    assert_eq!(json["capacity"]["connections"], 4_000);
}

/// A machine on which all is well, but for what depends on the number of CPUs.
const GOOD: &[(&str, &str)] = &[
    ("proc/sys/kernel/osrelease", "6.18.1-generic"),
    ("proc/sys/kernel/io_uring_disabled", "0"),
    ("sys/devices/system/clocksource/clocksource0/current_clocksource", "tsc"),
    (
        "proc/self/limits",
        "Limit                     Soft Limit           Hard Limit           Units     \n\
         Max open files            4096                 1048576              files     \n\
         Max locked memory         8388608              8388608              bytes     ",
    ),
    (
        "proc/self/status",
        "Name:\ttest\nCapEff:\t0000000000000000\nSeccomp:\t0\nSeccomp_filters:\t0\nCpus_allowed_list:\t0-3",
    ),
    ("proc/self/cgroup", "0::/a/b"),
    ("proc/self/timerslack_ns", "50000"),
    ("proc/meminfo", "MemTotal:       16777216 kB\nMemAvailable:    8388608 kB"),
    ("proc/sys/fs/nr_open", "1048576"),
    ("proc/sys/fs/file-nr", "1000\t0\t9223372036854775807"),
    ("proc/sys/net/core/somaxconn", "4096"),
    ("proc/sys/net/ipv4/ip_unprivileged_port_start", "1024"),
    ("proc/sys/net/ipv4/ip_local_port_range", "32768\t60999"),
    ("proc/sys/net/ipv4/tcp_available_ulp", "espintcp mptcp tls"),
    ("proc/sys/net/ipv4/tcp_congestion_control", "cubic"),
    ("proc/sys/net/ipv4/tcp_mem", "287901\t383869\t575802"),
    ("proc/sys/net/ipv4/tcp_wmem", "4096\t16384\t4194304"),
    ("proc/sys/net/ipv4/tcp_rmem", "4096\t131072\t6291456"),
    ("proc/interrupts", "      CPU0 CPU1 CPU2 CPU3\n 24: 100000 100000 100000 100000 PCI-MSIX eth0-rx"),
    ("sys/class/net/eth0/device/msi_irqs/24", "msix"),
    ("sys/class/net/lo/mtu", "65536"),
    ("sys/devices/system/node/online", "0"),
    ("sys/devices/system/cpu/online", "0-3"),
    ("sys/kernel/mm/transparent_hugepage/enabled", "always [madvise] never"),
    ("sys/fs/cgroup/a/b/cpu.max", "max 100000"),
    ("sys/fs/cgroup/a/memory.max", "max"),
];
