//! The report for people: one table per scenario, the goals, and who is missing; aligned for a terminal or as Markdown.
//! Every row says what was the bottleneck, and every figure that was not measured is a dash.

use std::fmt::Write as _;

use crate::goal::{Goal, Metric};
use crate::report::{Findings, Report, Row};
use crate::statistics::Spread;

/// A thread this busy sets the pace.
const BUSY: f64 = 0.90;

/// How a table is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    Text,
    Markdown,
}

/// The whole report.
pub(crate) fn render(report: &Report, form: Form) -> String {
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _ = write_report(&mut text, report, form);
    text
}

fn write_report(text: &mut String, report: &Report, form: Form) -> std::fmt::Result {
    let machine = &report.machine;
    writeln!(
        text,
        "{}, {} CPUs, Linux {}, congestion control {}; server on CPU {}, generator on CPU {}; {} rounds of {} s each \
         (medians; spread in parentheses); {}; {}; Node {}; commit {}.",
        machine.cpu_model,
        machine.cpus,
        machine.kernel,
        machine.congestion_control,
        report.server_cpu,
        report.generator_cpu,
        report.rounds,
        report.duration_s,
        machine.rustc,
        machine.compiler,
        machine.node,
        machine.commit,
    )?;
    for findings in &report.scenarios {
        heading(text, form, &findings.title)?;
        if findings.commit != machine.commit {
            writeln!(
                text,
                "Measured before, at commit {}.{}",
                findings.commit,
                if form == Form::Markdown { "\n" } else { "" }
            )?;
        }
        match &findings.skipped {
            Some(reason) => writeln!(text, "Not measured: {reason}.")?,
            None => write_rows(text, findings, form)?,
        }
    }
    heading(text, form, "Goals")?;
    write_goals(text, report, form)?;
    heading(text, form, "Who took part")?;
    for peer in &report.peers {
        let state = match (&peer.missing, &peer.version) {
            (Some(reason), _) => format!("missing: {reason}"),
            (None, Some(version)) => version.clone(),
            (None, None) => "not asked for".to_owned(),
        };
        writeln!(text, "* {}: {state}", peer.name)?;
    }
    Ok(())
}

fn heading(text: &mut String, form: Form, title: &str) -> std::fmt::Result {
    match form {
        Form::Text => writeln!(text, "\n== {title}"),
        Form::Markdown => writeln!(text, "\n**{title}**\n"),
    }
}

fn write_rows(text: &mut String, findings: &Findings, form: Form) -> std::fmt::Result {
    let rows: Vec<Vec<String>> = findings.rows.iter().map(|row| cells(findings, row)).collect();
    let heads: Vec<String> = if findings.is_idle() {
        ["server", "bytes per connection", "to reference", "runs"].map(str::to_owned).into()
    } else {
        let each = format!("CPU µs per {}", findings.unit);
        let rate = format!("{}/s", findings.unit);
        ["server", &each, "user + system", "to reference", &rate, "p50", "p99", "p99.9", "bottleneck", "runs"]
            .map(str::to_owned)
            .into()
    };
    grid(text, form, &heads, &rows)?;
    writeln!(text, "{}Reference: {}.", if form == Form::Markdown { "\n" } else { "" }, findings.reference)?;
    for row in &findings.rows {
        for run in &row.runs {
            if let Some(problem) = &run.problem {
                writeln!(text, "Not counted: {}, round {}: {problem}.", row.label, run.round + 1)?;
            }
        }
    }
    Ok(())
}

fn cells(findings: &Findings, row: &Row) -> Vec<String> {
    let summary = &row.summary;
    let runs = format!("{} of {}", summary.valid_runs, row.runs.len());
    let ratio = summary.ratio.map_or_else(dash, |ratio| spread(ratio, number));
    if findings.is_idle() {
        let bytes =
            summary.bytes_per_connection.map_or_else(dash, |bytes| spread(bytes, |bytes| format!("{bytes:.0}")));
        return vec![row.label.clone(), bytes, ratio, runs];
    }
    let median =
        |figure: Option<Spread>, show: fn(f64) -> String| figure.map_or_else(dash, |figure| show(figure.median));
    let parts = summary.user_ns.zip(summary.system_ns);
    vec![
        row.label.clone(),
        summary.cpu_ns.map_or_else(dash, |ns| spread(ns, micros)),
        parts.map_or_else(dash, |(user, system)| format!("{} + {}", micros(user.median), micros(system.median))),
        ratio,
        median(summary.rate, short),
        median(summary.p50_ns, latency),
        median(summary.p99_ns, latency),
        median(summary.p999_ns, latency),
        bottleneck(summary.server_share, summary.generator_share),
        runs,
    ]
}

/// How busy both ends were, and which of them set the pace.
fn bottleneck(server: Option<Spread>, generator: Option<Spread>) -> String {
    let Some((server, generator)) = server.zip(generator) else { return dash() };
    let (server, generator) = (server.median, generator.median);
    let name = match (server >= BUSY, generator >= BUSY) {
        (true, false) => "server",
        (false, true) => "generator",
        (true, true) => "both",
        (false, false) => "neither",
    };
    format!("{name} (server {:.0} %, generator {:.0} %)", server * 100.0, generator * 100.0)
}

fn write_goals(text: &mut String, report: &Report, form: Form) -> std::fmt::Result {
    let heads = ["scenario", "figure", "found", "goal", "worth landing below", "verdict"].map(str::to_owned);
    let mut rows = Vec::new();
    for findings in &report.scenarios {
        for goal in &findings.goals {
            let found = if findings.skipped.is_some() { None } else { findings.found(goal) };
            rows.push(vec![
                findings.name.clone(),
                figure(goal),
                found.map_or_else(dash, |found| spread(found, |found| precise(goal, found))),
                format!("≤ {}", bound(goal, goal.goal)),
                goal.landing.map_or_else(dash, |landing| bound(goal, landing)),
                goal.judge(found).text().to_owned(),
            ]);
        }
    }
    grid(text, form, &heads, &rows)
}

fn figure(goal: &Goal) -> String {
    let metric = match goal.metric {
        Metric::Cpu => "CPU",
        Metric::P50 => "p50",
        Metric::P99 => "p99",
        Metric::Bytes => "bytes",
    };
    match &goal.theirs {
        Some(theirs) => format!("{metric}: {} / {theirs}", goal.ours),
        None => format!("{metric}: {}", goal.ours),
    }
}

fn bound(goal: &Goal, figure: f64) -> String {
    if goal.metric == Metric::Bytes { format!("{figure:.0}") } else { number(figure) }
}

/// One digit more than a goal has: what misses it by a little must not look as if it met it.
fn precise(goal: &Goal, figure: f64) -> String {
    if goal.metric == Metric::Bytes { format!("{figure:.0}") } else { format!("{figure:.3}") }
}

/// A table whose first column is text and whose others are figures.
fn grid(text: &mut String, form: Form, heads: &[String], rows: &[Vec<String>]) -> std::fmt::Result {
    if form == Form::Markdown {
        writeln!(text, "| {} |", heads.join(" | "))?;
        writeln!(text, "|---|{}", "--:|".repeat(heads.len() - 1))?;
        return rows.iter().try_for_each(|row| writeln!(text, "| {} |", row.join(" | ")));
    }
    let width = |column: usize| {
        let cells = rows.iter().chain(std::iter::once(&heads.to_vec())).map(|row| row[column].chars().count()).max();
        cells.unwrap_or(0)
    };
    let widths: Vec<usize> = (0..heads.len()).map(width).collect();
    for row in std::iter::once(&heads.to_vec()).chain(rows) {
        let mut line = String::new();
        for (cell, &width) in row.iter().zip(&widths) {
            let padding = " ".repeat(width - cell.chars().count());
            if line.is_empty() {
                line = format!("{cell}{padding}");
            } else {
                line += &format!("  {padding}{cell}");
            }
        }
        writeln!(text, "{}", line.trim_end())?;
    }
    Ok(())
}

fn dash() -> String {
    "–".to_owned()
}

/// `0.81 (0.79–0.84)`; a single run has no spread.
fn spread(found: Spread, show: impl Fn(f64) -> String) -> String {
    #[allow(clippy::float_cmp)] // the same number, not a near one
    let is_single = found.min == found.max;
    if is_single {
        return show(found.median);
    }
    format!("{} ({}–{})", show(found.median), show(found.min), show(found.max))
}

fn number(number: f64) -> String {
    format!("{number:.2}")
}

/// Nanoseconds as microseconds, three significant digits.
fn micros(ns: f64) -> String {
    let micros = ns / 1e3;
    match micros {
        n if n >= 100.0 => format!("{n:.0}"),
        n if n >= 10.0 => format!("{n:.1}"),
        n if n >= 1.0 => format!("{n:.2}"),
        n => format!("{n:.3}"),
    }
}

fn latency(ns: f64) -> String {
    match ns {
        n if n >= 1e6 => format!("{:.2} ms", n / 1e6),
        n => format!("{:.0} µs", n / 1e3),
    }
}

/// `1.23 M`, `12.3 k`.
fn short(number: f64) -> String {
    match number {
        n if n >= 1e6 => format!("{:.2} M", n / 1e6),
        n if n >= 1e5 => format!("{:.0} k", n / 1e3),
        n if n >= 1e3 => format!("{:.1} k", n / 1e3),
        n => format!("{n:.0}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::tests::{findings, report};

    #[test]
    fn a_table_tells_ratio_spread_bottleneck_and_verdict() {
        let found = report(findings(&[800.0, 850.0, 900.0], &[1_000.0, 1_000.0, 1_000.0]));
        for form in [Form::Text, Form::Markdown] {
            let text = render(&found, form);
            for part in [
                "0.850 (0.800–0.900)",
                "0.85 (0.80–0.90)",
                "0.212 + 0.637",
                "1.18 M",
                "server (server 99 %, generator 50 %)",
                "3 of 3",
                "CPU: ours / theirs",
                "met",
                "* ws: missing: no node",
            ] {
                assert!(text.contains(part), "{part} is not in\n{text}");
            }
        }
        assert!(render(&found, Form::Markdown).contains("|---|--:|"));
    }

    #[test]
    fn runs_that_do_not_count_are_named() {
        let mut broken = findings(&[800.0], &[1_000.0]);
        broken.rows[0].runs[0].problem = Some("3 loss".to_owned());
        broken.summarise();
        let text = render(&report(broken), Form::Text);
        assert!(text.contains("Not counted: ours, round 1: 3 loss."), "{text}");
        assert!(text.contains("0 of 1") && text.contains("not measured"), "{text}");
    }

    #[test]
    fn a_scenario_of_another_commit_is_marked() {
        let older = crate::report::Findings { commit: "abc123".to_owned(), ..findings(&[800.0], &[1_000.0]) };
        assert!(render(&report(older), Form::Text).contains("Measured before, at commit abc123."));
        assert!(!render(&report(findings(&[800.0], &[1_000.0])), Form::Text).contains("Measured before"));
    }

    #[test]
    fn a_skipped_scenario_says_why() {
        let skipped = crate::report::Findings { skipped: Some("one CPU".to_owned()), ..findings(&[], &[]) };
        let text = render(&report(skipped), Form::Markdown);
        assert!(text.contains("Not measured: one CPU.") && text.contains("not measured |"), "{text}");
    }

    #[test]
    fn columns_are_aligned() {
        let text = render(&report(findings(&[800.0], &[1_000.0])), Form::Text);
        let lines: Vec<&str> = text.lines().skip_while(|line| !line.starts_with("server ")).take(3).collect();
        let at = |line: &str| line.trim_end().chars().count();
        assert_eq!((at(lines[0]) > 0, at(lines[1])), (true, at(lines[2])), "{text}");
    }
}
