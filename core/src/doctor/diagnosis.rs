//! All findings on one machine for one plan, and how they are written: for people as text, for scripts as JSON.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::capacity::Capacity;
use super::finding::{Finding, Level};
use super::machine::Machine;
use super::{container, cpus, kernel, limits, network};
use crate::config::Settings;
use crate::server::Placement;

/// What was found, and what can be expected.
#[derive(Clone, Debug)]
pub(crate) struct Diagnosis {
    pub(crate) findings: Vec<Finding>,
    /// Not there where it is not known which CPUs the shards would run on.
    pub(crate) capacity: Option<Capacity>,
    settings: Settings,
}

/// Looks at everything that matters to a server with these settings.
pub(crate) fn examine(machine: &Machine, settings: &Settings) -> Diagnosis {
    let mut findings = kernel::findings(machine);
    let shards = match place(machine, settings) {
        Ok(shards) => shards,
        Err(finding) => {
            findings.push(finding);
            Vec::new()
        }
    };
    let count = shards.len().max(1);
    findings.extend(limits::findings(machine, settings, count));
    let planned = limits::planned(settings, count);
    let connections = limits::descriptors_free(machine, settings, count).map_or(planned, |free| free.min(planned));
    findings.extend(network::findings(machine, settings, connections));
    if !shards.is_empty() {
        findings.extend(cpus::findings(machine, &shards));
    }
    findings.extend(container::findings(machine, count));
    let capacity = (!shards.is_empty()).then(|| Capacity::new(machine, settings, &shards));
    Diagnosis { findings, capacity, settings: settings.clone() }
}

/// The CPU of each shard, as the server would choose it.
fn place(machine: &Machine, settings: &Settings) -> Result<Vec<usize>, Finding> {
    const SUBJECT: &str = "shards";
    let allowed = machine.allowed_cpus().map_err(|error| Finding::unknown(SUBJECT, &error))?;
    let placement = Placement::among(&allowed, settings).map_err(|error| {
        Finding::new(Level::Problem, SUBJECT, error.to_string(), "the server does not start")
            .change("another --shards or --cpus")
    })?;
    Ok(placement.cpus)
}

impl Diagnosis {
    /// Whether something keeps the server from starting, or from doing what was planned.
    pub(crate) fn has_problems(&self) -> bool {
        self.count(Level::Problem) > 0
    }

    /// For people: the worst first, and what is as it should be in one line each.
    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        let mut findings: Vec<_> = self.findings.iter().collect();
        findings.sort_by_key(|finding| std::cmp::Reverse(finding.level));
        for finding in findings {
            writeln!(text, "{:8} {:18} {}", finding.level.name(), finding.subject, finding.found).expect("text");
            if finding.level != Level::Ok {
                writeln!(text, "{:27} {}", "", finding.why).expect("text");
            }
            if let Some(change) = &finding.change {
                writeln!(text, "{:27} change: {change}", "").expect("text");
            }
        }
        text.push('\n');
        match &self.capacity {
            Some(capacity) => text.push_str(&capacity.describe(&self.settings)),
            None => text.push_str("Expected capacity: unknown without a place for the shards\n"),
        }
        let levels = [Level::Problem, Level::Warning, Level::Note];
        let [problems, warnings, notes] = levels.map(|level| plural(self.count(level), level.name()));
        writeln!(text, "\n{problems}, {warnings}, {notes}").expect("text");
        text
    }

    /// For scripts: one object.
    pub(crate) fn json(&self) -> String {
        let finding = |finding: &Finding| {
            json!({
                "level": finding.level.name(),
                "subject": finding.subject,
                "found": finding.found,
                "why": finding.why,
                "change": finding.change,
            })
        };
        let capacity = self.capacity.map(|capacity| {
            json!({
                "connections": capacity.connections(),
                "connections_by_descriptors": capacity.by_descriptors,
                "connections_by_memory": capacity.by_memory,
                "connections_by_settings": capacity.by_settings,
                "cpus_milli": capacity.milli_cpus,
                "messages_per_second_single": capacity.messages.0,
                "messages_per_second_pipelined": capacity.messages.1,
            })
        });
        let findings: Vec<Value> = self.findings.iter().map(finding).collect();
        format!(
            "{}\n",
            json!({ "schema": SCHEMA, "problems": self.has_problems(), "findings": findings, "capacity": capacity })
        )
    }

    fn count(&self, level: Level) -> usize {
        self.findings.iter().filter(|finding| finding.level == level).count()
    }
}

fn plural(count: usize, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}

/// Its number rises when a name in the object changes its meaning.
const SCHEMA: &str = "socketshard-doctor/1";
