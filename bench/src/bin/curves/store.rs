//! Points on disk: one JSON file for each curve, beside its figures.

use std::fs;
use std::path::Path;

use crate::curve::{Curve, Name, SCHEMA};

/// Writes a curve's points.
pub(crate) fn write(curve: &Curve, folder: &Path) -> Result<(), String> {
    fs::create_dir_all(folder).map_err(|error| format!("cannot make {}: {error}", folder.display()))?;
    let path = folder.join(format!("{}.json", curve.name.text()));
    let text = serde_json::to_string_pretty(curve).expect("names and finite numbers are JSON");
    fs::write(&path, text + "\n").map_err(|error| format!("cannot write {}: {error}", path.display()))
}

/// Reads one curve.
pub(crate) fn read(name: Name, folder: &Path) -> Result<Curve, String> {
    let path = folder.join(format!("{}.json", name.text()));
    let text = fs::read_to_string(&path)
        .map_err(|error| format!("{}: {error}; `curves --curve {}` measures it", path.display(), name.text()))?;
    let curve: Curve = serde_json::from_str(&text).map_err(|error| format!("{}: {error}", path.display()))?;
    if curve.schema != SCHEMA || curve.name != name {
        return Err(format!("{} is no curve of {} in the layout {SCHEMA}", path.display(), name.text()));
    }
    Ok(curve)
}

/// Reads every curve that was stored.
pub(crate) fn read_all(folder: &Path) -> Result<Vec<Curve>, String> {
    let exists = |name: &Name| folder.join(format!("{}.json", name.text())).exists();
    Name::EACH.into_iter().filter(exists).map(|name| read(name, folder)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::curve::{Point, Spread};

    #[test]
    fn a_curve_survives_its_file_and_a_missing_one_says_what_makes_it() {
        let folder = std::env::temp_dir().join(format!("socketshard-curves-{}", std::process::id()));
        let point = Point { line: "a".to_owned(), x: 3.0, cpu_us: Spread::of([1.5]), ..Point::default() };
        let curve = Curve {
            schema: SCHEMA.to_owned(),
            name: Name::Size,
            rounds: 1,
            seconds: 0.5,
            machine: serde_json::json!({"cpus": 2}),
            commit: None,
            command: "curves".to_owned(),
            points: vec![point],
        };
        write(&curve, &folder).expect("written");
        let all = read_all(&folder).expect("read");
        assert_eq!(all, [curve]);
        assert_eq!(all[0].median("a", 3.0, |point| point.cpu_us), Some(1.5));
        assert!(read(Name::Idle, &folder).expect_err("not there").contains("--curve idle"));
        fs::remove_dir_all(&folder).expect("removed");
    }
}
