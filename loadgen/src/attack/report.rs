//! The table for people and the object for programs.

use std::fmt::Write as _;
use std::time::Duration;

use serde_json::{Value, json};

use super::bystander::Fate;
use super::case::{Outcome, Verdict};
use super::watch::Trace;

/// What one row came to.
pub(crate) struct Row {
    pub(crate) name: &'static str,
    pub(crate) title: &'static str,
    pub(crate) outcomes: Vec<Outcome>,
    /// The longest that a bystander waited meanwhile.
    pub(crate) worst_wait: Duration,
    /// What it left behind, where that can be looked at.
    pub(crate) trace: Option<Trace>,
}

impl Row {
    /// Its lines: one for all inputs with the same end, or one for each.
    pub(crate) fn text(&self, is_verbose: bool) -> String {
        let mut text =
            format!("\n{:<4} {} (bystander at most {:.1} ms)\n", self.name, self.title, millis(self.worst_wait));
        let mut rest = Vec::from_iter(&self.outcomes);
        while let Some(first) = rest.first().copied() {
            let is_alike =
                |other: &&Outcome| !is_verbose && first.verdict != Verdict::Failed && end(first) == end(other);
            let (alike, others): (Vec<_>, Vec<_>) = rest.drain(..).skip(1).partition(is_alike);
            rest = others;
            let more = if alike.is_empty() { String::new() } else { format!(" and {} more", alike.len()) };
            let elapsed = alike.iter().map(|outcome| outcome.elapsed).max().unwrap_or_default().max(first.elapsed);
            // Writing to a string cannot fail.
            let _ = writeln!(
                text,
                "     {:<6} {:<62} {:<24} {:<24} {:>6.2} s",
                first.verdict.word(),
                first.input.clone() + &more,
                first.wanted.to_string(),
                first.seen,
                elapsed.as_secs_f64(),
            );
        }
        text
    }

    fn json(&self) -> Value {
        let outcomes = Vec::from_iter(self.outcomes.iter().map(|outcome| {
            json!({
                "row": outcome.row,
                "input": outcome.input,
                "wanted": outcome.wanted.to_string(),
                "seen": outcome.seen,
                "verdict": outcome.verdict.word(),
                "seconds": outcome.elapsed.as_secs_f64(),
            })
        }));
        json!({
            "row": self.name,
            "title": self.title,
            "bystander_max_ms": millis(self.worst_wait),
            "cases": outcomes,
            "trace": self.trace.as_ref().map(|trace| json!({
                "began_ms": trace.span_ms[0],
                "ended_ms": trace.span_ms[1],
                "counted": trace.counted,
                "growth_bytes": trace.growth_bytes,
                "descriptors_left": trace.descriptors,
            })),
        })
    }
}

impl Verdict {
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Other => "other",
            Self::Failed => "FAILED",
            Self::None => "none",
        }
    }
}

/// How many cases ended that way.
fn count(rows: &[Row], verdict: Verdict) -> usize {
    rows.iter().flat_map(|row| &row.outcomes).filter(|outcome| outcome.verdict == verdict).count()
}

/// Whether anything has failed.
pub(crate) fn has_failed(rows: &[Row], fate: &Fate) -> bool {
    count(rows, Verdict::Failed) > 0 || fate.hurt.is_some()
}

/// The last lines.
pub(crate) fn conclusion(rows: &[Row], fate: &Fate) -> String {
    let counts = [Verdict::Ok, Verdict::Other, Verdict::Failed, Verdict::None]
        .map(|verdict| format!("{} {}", count(rows, verdict), verdict.word()));
    let fate = match &fate.hurt {
        None => format!(
            "lived through it: {} calls, p50 {:.1} ms, p99 {:.1} ms, max {:.1} ms",
            fate.waits.len(),
            micros(fate.waits.value_at_quantile(0.5)),
            micros(fate.waits.value_at_quantile(0.99)),
            micros(fate.waits.max()),
        ),
        Some(hurt) => format!("was hurt after {} calls: {hurt}", fate.waits.len()),
    };
    format!("\n{} rows: {}\nthe bystander {fate}\n", rows.len(), counts.join(", "))
}

/// Everything, for programs.
pub(crate) fn json(target: &str, rows: &[Row], fate: &Fate) -> Value {
    json!({
        "target": target,
        "rows": Vec::from_iter(rows.iter().map(Row::json)),
        "counts": {
            "ok": count(rows, Verdict::Ok),
            "other": count(rows, Verdict::Other),
            "failed": count(rows, Verdict::Failed),
            "none": count(rows, Verdict::None),
        },
        "bystander": {
            "calls": fate.waits.len(),
            "p50_ms": micros(fate.waits.value_at_quantile(0.5)),
            "p99_ms": micros(fate.waits.value_at_quantile(0.99)),
            "max_ms": micros(fate.waits.max()),
            "hurt": fate.hurt,
        },
    })
}

fn end(outcome: &Outcome) -> (String, &str, Verdict) {
    (outcome.wanted.to_string(), &outcome.seen, outcome.verdict)
}

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

#[allow(clippy::cast_precision_loss)] // microseconds of a wait are far below 2^53
fn micros(count: u64) -> f64 {
    count as f64 / 1e3
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attack::case::Wanted;

    fn outcome(input: &str, seen: &str, verdict: Verdict) -> Outcome {
        Outcome {
            row: "A9",
            input: input.to_owned(),
            wanted: Wanted::Refusal(&[400]),
            seen: seen.to_owned(),
            verdict,
            elapsed: Duration::ZERO,
        }
    }

    #[test]
    fn inputs_with_the_same_end_share_a_line_and_failures_do_not() {
        let outcomes = vec![
            outcome("one", "400, the end", Verdict::Ok),
            outcome("two", "200", Verdict::Failed),
            outcome("three", "400, the end", Verdict::Ok),
            outcome("four", "200", Verdict::Failed),
        ];
        let row = Row { name: "A9", title: "smuggling", outcomes, worst_wait: Duration::ZERO, trace: None };
        let text = row.text(false);
        assert_eq!(text.trim().lines().count(), 4, "{text}");
        assert!(text.contains("one and 1 more") && text.contains("FAILED two"), "{text}");
        assert_eq!(row.text(true).trim().lines().count(), 5);
    }
}
