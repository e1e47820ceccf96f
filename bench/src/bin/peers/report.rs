//! Everything that was found, as it is stored. The schema's name carries its version: fields are added under the same
//! one, and removed or changed only under the next.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::goal::{Goal, Metric};
use crate::machine::Machine;
use crate::measurement::Measurement;
use crate::statistics::Spread;

/// The schema of what is stored.
pub(crate) const SCHEMA: &str = "socketshard-peers/1";

/// The whole comparison.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Report {
    pub(crate) schema: String,
    pub(crate) machine: Machine,
    pub(crate) duration_s: f64,
    pub(crate) warmup_s: f64,
    pub(crate) rounds: usize,
    pub(crate) server_cpu: usize,
    pub(crate) generator_cpu: usize,
    pub(crate) peers: Vec<Attendance>,
    pub(crate) scenarios: Vec<Findings>,
}

/// Who took part, and who did not.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Attendance {
    pub(crate) name: String,
    pub(crate) version: Option<String>,
    /// Why it is missing; none if it is not.
    pub(crate) missing: Option<String>,
}

/// One scenario's rows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Findings {
    pub(crate) name: String,
    pub(crate) title: String,
    pub(crate) unit: String,
    /// The commit of our server.
    pub(crate) commit: String,
    /// The row that the ratios are taken to.
    pub(crate) reference: String,
    pub(crate) rows: Vec<Row>,
    pub(crate) goals: Vec<Goal>,
    /// Why it was not measured, if it was not.
    pub(crate) skipped: Option<String>,
}

/// One contestant's runs, by round.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Row {
    pub(crate) label: String,
    pub(crate) peer: String,
    /// The generator's arguments.
    pub(crate) arguments: Vec<String>,
    pub(crate) runs: Vec<Measurement>,
    /// What follows from the runs, for readers of the file.
    pub(crate) summary: Summary,
}

/// What follows from a row's valid runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Summary {
    pub(crate) valid_runs: usize,
    pub(crate) cpu_ns: Option<Spread>,
    pub(crate) user_ns: Option<Spread>,
    pub(crate) system_ns: Option<Spread>,
    /// CPU to the reference row, round by round; in the idle scenario bytes.
    pub(crate) ratio: Option<Spread>,
    pub(crate) rate: Option<Spread>,
    pub(crate) p50_ns: Option<Spread>,
    pub(crate) p99_ns: Option<Spread>,
    pub(crate) p999_ns: Option<Spread>,
    pub(crate) server_share: Option<Spread>,
    pub(crate) generator_share: Option<Spread>,
    pub(crate) bytes_per_connection: Option<Spread>,
}

/// How one figure is read from a run.
pub(crate) type Figure = fn(&Measurement) -> Option<f64>;

impl Row {
    /// A figure by round: none where the run was not valid.
    pub(crate) fn by_round(&self, figure: Figure) -> Vec<Option<f64>> {
        let rounds = self.runs.iter().map(|run| run.round + 1).max().unwrap_or(0);
        let mut figures = vec![None; rounds];
        for run in self.runs.iter().filter(|run| run.is_valid()) {
            figures[run.round] = figure(run);
        }
        figures
    }

    fn spread(&self, figure: Figure) -> Option<Spread> {
        Spread::of(self.by_round(figure).into_iter().flatten())
    }

    fn summarise(&mut self, reference: Option<&[Option<f64>]>, compared: Figure) {
        self.summary = Summary {
            valid_runs: self.runs.iter().filter(|run| run.is_valid()).count(),
            cpu_ns: self.spread(|run| run.cpu_ns),
            user_ns: self.spread(|run| run.user_ns),
            system_ns: self.spread(|run| run.system_ns),
            ratio: reference.and_then(|reference| Spread::of_ratios(&self.by_round(compared), reference)),
            rate: self.spread(|run| run.rate),
            p50_ns: self.spread(|run| run.p50_ns),
            p99_ns: self.spread(|run| run.p99_ns),
            p999_ns: self.spread(|run| run.p999_ns),
            server_share: self.spread(|run| run.server_share),
            generator_share: self.spread(|run| run.generator_share),
            bytes_per_connection: self.spread(|run| run.bytes_per_connection),
        };
    }
}

impl Findings {
    /// The row of that label.
    pub(crate) fn row(&self, label: &str) -> Option<&Row> {
        self.rows.iter().find(|row| row.label == label)
    }

    /// Whether connections were only held.
    pub(crate) fn is_idle(&self) -> bool {
        self.name == "idle"
    }

    /// Computes every row's summary anew.
    pub(crate) fn summarise(&mut self) {
        let compared: Figure = if self.is_idle() { |run| run.bytes_per_connection } else { |run| run.cpu_ns };
        let reference = self.row(&self.reference).map(|row| row.by_round(compared));
        for row in &mut self.rows {
            row.summarise(reference.as_deref(), compared);
        }
    }

    /// The figure that a goal is about.
    pub(crate) fn found(&self, goal: &Goal) -> Option<Spread> {
        let figure: Figure = match goal.metric {
            Metric::Cpu => |run| run.cpu_ns,
            Metric::P50 => |run| run.p50_ns,
            Metric::P99 => |run| run.p99_ns,
            Metric::Bytes => |run| run.bytes_per_connection,
        };
        let ours = self.row(&goal.ours)?.by_round(figure);
        match &goal.theirs {
            None => Spread::of(ours.into_iter().flatten()),
            Some(theirs) => Spread::of_ratios(&ours, &self.row(theirs)?.by_round(figure)),
        }
    }
}

impl Report {
    /// Reads a stored one.
    pub(crate) fn load(path: &Path) -> Result<Self, String> {
        let text = std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
        let report: Self = serde_json::from_str(&text).map_err(|error| format!("{}: {error}", path.display()))?;
        if report.schema == SCHEMA { Ok(report) } else { Err(format!("{} is no {SCHEMA}", path.display())) }
    }

    /// Stores it, whole or not at all.
    pub(crate) fn store(&self, path: &Path) -> Result<(), String> {
        let text = serde_json::to_string_pretty(self).map_err(|error| format!("the report is not JSON: {error}"))?;
        let draft = path.with_extension("json.new");
        std::fs::write(&draft, text + "\n")
            .and_then(|()| std::fs::rename(&draft, path))
            .map_err(|error| format!("cannot write {}: {error}", path.display()))
    }

    /// Takes from an older report what this one did not measure: scenarios and the peers in them.
    pub(crate) fn adopt(&mut self, older: Self) {
        for findings in older.scenarios {
            if !self.scenarios.iter().any(|own| own.name == findings.name) {
                self.scenarios.push(findings);
            }
        }
        for attendance in older.peers {
            match self.peers.iter_mut().find(|own| own.name == attendance.name) {
                Some(own) if own.version.is_none() && attendance.version.is_some() => *own = attendance,
                Some(_) => {}
                None => self.peers.push(attendance),
            }
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A scenario in which ours took these nanoseconds by round, and the other those.
    pub(crate) fn findings(ours: &[f64], theirs: &[f64]) -> Findings {
        let row = |label: &str, figures: &[f64]| Row {
            label: label.to_owned(),
            peer: label.to_owned(),
            arguments: Vec::new(),
            runs: figures
                .iter()
                .enumerate()
                .map(|(round, &ns)| Measurement {
                    round,
                    cpu_ns: Some(ns),
                    user_ns: Some(ns / 4.0),
                    system_ns: Some(ns * 0.75),
                    rate: Some(1e9 / ns),
                    p50_ns: Some(ns * 10.0),
                    p99_ns: Some(ns * 20.0),
                    p999_ns: Some(ns * 30.0),
                    server_share: Some(0.99),
                    generator_share: Some(0.5),
                    ..Measurement::default()
                })
                .collect(),
            summary: Summary::default(),
        };
        let goal = Goal {
            metric: Metric::Cpu,
            ours: "ours".to_owned(),
            theirs: Some("theirs".to_owned()),
            goal: 0.9,
            landing: Some(1.1),
        };
        let mut findings = Findings {
            name: "call".to_owned(),
            title: "calls".to_owned(),
            unit: "call".to_owned(),
            commit: String::new(),
            reference: "theirs".to_owned(),
            rows: vec![row("ours", ours), row("theirs", theirs)],
            goals: vec![goal],
            skipped: None,
        };
        findings.summarise();
        findings
    }

    /// A report of that scenario.
    pub(crate) fn report(findings: Findings) -> Report {
        Report {
            schema: SCHEMA.to_owned(),
            machine: Machine::default(),
            duration_s: 2.0,
            warmup_s: 0.5,
            rounds: 3,
            server_cpu: 0,
            generator_cpu: 1,
            peers: vec![
                Attendance { name: "ours".to_owned(), version: Some("1".to_owned()), missing: None },
                Attendance { name: "ws".to_owned(), version: None, missing: Some("no node".to_owned()) },
            ],
            scenarios: vec![findings],
        }
    }

    #[test]
    fn ratios_are_taken_round_by_round() {
        // Both drift by the same factor: the ratio does not.
        let findings = findings(&[800.0, 1_600.0, 400.0], &[1_000.0, 2_000.0, 500.0]);
        let ratio = findings.rows[0].summary.ratio.expect("three rounds");
        assert_eq!((ratio.median, ratio.min, ratio.max), (0.8, 0.8, 0.8));
        assert_eq!(findings.found(&findings.goals[0]).expect("measured").median, 0.8);
    }

    #[test]
    fn an_invalid_run_is_not_averaged() {
        let mut findings = findings(&[800.0, 9e9, 820.0], &[1_000.0, 1_000.0, 1_000.0]);
        findings.rows[0].runs[1].problem = Some("3 loss".to_owned());
        findings.summarise();
        let summary = findings.rows[0].summary;
        assert_eq!(summary.valid_runs, 2);
        assert_eq!(summary.cpu_ns.expect("two rounds").max, 820.0);
        assert_eq!(summary.ratio.expect("two rounds").max, 0.82);
    }

    #[test]
    fn a_stored_report_is_read_back_and_another_file_is_refused() {
        let folder = std::env::temp_dir().join(format!("socketshard-peers-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a temporary folder");
        let path = folder.join("report.json");
        let stored = report(findings(&[1.0], &[2.0]));
        stored.store(&path).expect("it can be written");
        assert_eq!(Report::load(&path), Ok(stored));
        std::fs::write(&path, "{}").expect("it can be written");
        assert!(Report::load(&path).is_err());
        std::fs::remove_dir_all(&folder).expect("it was made here");
    }

    #[test]
    fn an_older_report_fills_the_gaps_only() {
        let mut newer = report(findings(&[1.0], &[2.0]));
        let mut older = report(findings(&[5.0], &[5.0]));
        older.scenarios.push(Findings { name: "idle".to_owned(), ..older.scenarios[0].clone() });
        older.peers[1] = Attendance { name: "ws".to_owned(), version: Some("8".to_owned()), missing: None };
        newer.adopt(older);
        assert_eq!(newer.scenarios.len(), 2);
        assert_eq!(newer.scenarios[0].rows[0].summary.ratio.expect("one round").median, 0.5, "its own stays");
        assert_eq!(newer.peers[1].version.as_deref(), Some("8"));
    }
}
