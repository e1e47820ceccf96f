//! The machine under the comparison, as far as the figures depend on it. Read only.

use std::fs;
use std::process::Command;

use serde::{Deserialize, Serialize};

use crate::workshop::{Workshop, output};

/// What a table must carry to be compared with another.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Machine {
    pub(crate) cpu_model: String,
    pub(crate) cpus: usize,
    pub(crate) kernel: String,
    pub(crate) congestion_control: String,
    pub(crate) memory_bytes: u64,
    pub(crate) rustc: String,
    pub(crate) compiler: String,
    pub(crate) node: String,
    pub(crate) commit: String,
    /// The program's own arguments.
    pub(crate) command: Vec<String>,
}

impl Machine {
    /// Reads them; what the machine does not tell stays empty.
    pub(crate) fn read(workshop: &Workshop) -> Self {
        let file = |path: &str| fs::read_to_string(path).map(|text| text.trim().to_owned()).unwrap_or_default();
        let version = |program: &str| {
            let text = output(Command::new(program).arg("--version")).unwrap_or_default();
            text.lines().next().unwrap_or_default().to_owned()
        };
        let cpuinfo = file("/proc/cpuinfo");
        let model = cpuinfo.lines().find_map(|line| line.strip_prefix("model name")?.split_once(':'));
        let kilobytes = file("/proc/meminfo")
            .lines()
            .find_map(|line| line.strip_prefix("MemTotal:")?.trim().strip_suffix("kB")?.trim().parse::<u64>().ok());
        Self {
            cpu_model: model.map(|(_, model)| model.trim().to_owned()).unwrap_or_default(),
            cpus: cpuinfo.lines().filter(|line| line.starts_with("processor")).count(),
            kernel: file("/proc/sys/kernel/osrelease"),
            congestion_control: file("/proc/sys/net/ipv4/tcp_congestion_control"),
            memory_bytes: kilobytes.unwrap_or(0) * 1024,
            rustc: version("rustc"),
            compiler: version("g++"),
            node: version("node"),
            commit: workshop.commit().unwrap_or_else(|| "unknown".to_owned()),
            command: std::env::args().skip(1).collect(),
        }
    }
}
