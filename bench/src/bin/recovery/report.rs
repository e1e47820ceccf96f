//! What the rounds have shown, as a table for documents and as JSON.

use std::time::Duration;

use serde_json::{Value, json};

use crate::round::{Break, Outcome};

/// A column of the table: one kind of break.
pub(crate) struct Column {
    pub(crate) what: Break,
    pub(crate) outcomes: Vec<Outcome>,
}

impl Column {
    /// Whether everything that was promised was kept.
    pub(crate) fn is_good(&self) -> bool {
        self.outcomes.iter().all(|one| {
            one.writes_lost + one.sessions_lost + one.refused == 0 && one.bystanders_hurt == 0 && one.affected > 0
        })
    }

    const fn name(&self) -> &'static str {
        match self.what {
            Break::Shard => "a shard panics",
            Break::Process => "`kill -9`, supervised",
            Break::Hang => "a shard hangs, supervised",
        }
    }

    fn times(&self, of: fn(&Outcome) -> Duration) -> String {
        times(self.outcomes.iter().map(of))
    }

    fn sum(&self, of: fn(&Outcome) -> u64) -> String {
        self.outcomes.iter().map(of).sum::<u64>().to_string()
    }

    fn range(&self, of: fn(&Outcome) -> u64) -> String {
        let all = || self.outcomes.iter().map(of);
        match (all().min(), all().max()) {
            (Some(least), Some(most)) if least != most => format!("{least} to {most}"),
            (least, _) => least.unwrap_or(0).to_string(),
        }
    }

    fn cells(&self) -> [String; 13] {
        let silences: Option<Vec<_>> = self.outcomes.iter().map(|one| one.silence).collect();
        [
            self.times(|one| one.accepts),
            self.times(|one| one.answered),
            self.times(|one| one.back),
            self.times(|one| one.hearing),
            self.range(|one| one.affected as u64),
            self.range(|one| one.on_successor as u64),
            silences.map_or_else(|| "–".to_owned(), |silences| times(silences.into_iter())),
            self.times(|one| one.usual_silence),
            self.sum(|one| one.bystanders_hurt as u64),
            self.sum(|one| one.writes),
            self.sum(|one| one.writes_lost + one.sessions_lost),
            self.sum(|one| one.refused),
            format!("{}, {}", self.range(|one| one.calls), self.range(|one| one.deliveries)),
        ]
    }

    /// Everything, round by round.
    pub(crate) fn json(&self) -> Value {
        let millis = |time: Duration| time.as_secs_f64() * 1e3;
        let one = |one: &Outcome| {
            json!({
                "accepts_ms": millis(one.accepts), "answered_ms": millis(one.answered), "back_ms": millis(one.back),
                "hearing_ms": millis(one.hearing), "affected": one.affected, "on_successor": one.on_successor,
                "silence_ms": one.silence.map(millis), "usual_silence_ms": millis(one.usual_silence),
                "bystanders_hurt": one.bystanders_hurt, "calls_per_second": one.calls,
                "deliveries_per_second": one.deliveries, "writes": one.writes, "writes_lost": one.writes_lost,
                "sessions_lost": one.sessions_lost, "refused": one.refused, "retries": one.retries,
            })
        };
        json!({ "break": self.name(), "rounds": self.outcomes.iter().map(one).collect::<Vec<_>>() })
    }
}

/// The table.
pub(crate) fn table(columns: &[Column]) -> String {
    let line = |first: &str, cells: &mut dyn Iterator<Item = &str>| {
        cells.fold(format!("| {first} |"), |line, cell| line + " " + cell + " |") + "\n"
    };
    let cells: Vec<_> = columns.iter().map(Column::cells).collect();
    let mut text = line("from the break, median (worst)", &mut columns.iter().map(Column::name));
    text += &line("---", &mut columns.iter().map(|_| "--:"));
    for (row, name) in ROWS.iter().enumerate() {
        text += &line(name, &mut cells.iter().map(|cells| cells[row].as_str()));
    }
    text
}

fn times(times: impl Iterator<Item = Duration>) -> String {
    let mut times: Vec<_> = times.collect();
    times.sort_unstable();
    let millis = |time: &Duration| format!("{:.0} ms", time.as_secs_f64() * 1e3);
    match (times.get(times.len() / 2), times.last()) {
        (Some(median), Some(worst)) => format!("{} ({})", millis(median), millis(worst)),
        _ => "–".to_owned(),
    }
}

const ROWS: [&str; 13] = [
    "accepts again, by its own word",
    "a new connection is answered there",
    "all who were cut off are back: session read, subscribed, answered",
    "all of them have heard a publication of both channels",
    "clients cut off",
    "of those, now served in the place of what died",
    "longest silence of the other shard meanwhile",
    "longest silence of any shard in a second without a break",
    "clients of the other shard that were cut off",
    "session writes acknowledged",
    "acknowledged writes or sessions lost",
    "connections refused",
    "load before the break: answers/s, deliveries/s",
];

#[cfg(test)]
mod tests {
    use super::*;

    fn column(writes_lost: u64) -> Column {
        let outcome =
            |millis| Outcome { back: Duration::from_millis(millis), affected: 3, writes_lost, ..Outcome::default() };
        Column { what: Break::Process, outcomes: [30, 10, 20].map(outcome).to_vec() }
    }

    #[test]
    fn a_table_has_medians_and_the_worst() {
        let table = table(&[column(0)]);
        assert!(table.contains("| 20 ms (30 ms) |") && table.contains("| clients cut off | 3 |"), "{table}");
        assert_eq!(table.lines().count(), ROWS.len() + 2);
    }

    #[test]
    fn a_lost_write_is_no_success() {
        assert!(column(0).is_good());
        assert!(!column(1).is_good());
    }
}
