//! How much memory the process holds, measured four times a second by a thread of its own, and what the shards are told
//! of it. It ends with the process, and is not there where `--memory-max` is not set.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::time::Duration;

use shard::Pressure;

use super::control::Control;
use crate::config::size;

/// Watches the memory from now on, if there is a limit.
pub(super) fn watch(bytes_max: u64, control: &Control) -> io::Result<()> {
    if bytes_max == 0 {
        return Ok(());
    }
    let control = control.clone();
    let file = File::open("/proc/self/status")?;
    let watching = move || {
        let mut last = Pressure::None;
        loop {
            // A kernel that does not say any more how much it is, has said nothing against it.
            let resident = resident_bytes(&file).unwrap_or(0);
            let pressure = judge(resident, bytes_max);
            control.press(pressure);
            if pressure != last {
                tell(pressure, resident, bytes_max);
            }
            last = pressure;
            std::thread::sleep(PERIOD);
        }
    };
    std::thread::Builder::new().name("memory".to_owned()).spawn(watching).map(drop)
}

/// Nobody is let in above the limit; above a mark that is an eighth higher, who holds the most is ended.
const fn judge(resident: u64, bytes_max: u64) -> Pressure {
    if resident > bytes_max.saturating_add(bytes_max / 8) {
        Pressure::Over
    } else if resident > bytes_max {
        Pressure::Full
    } else {
        Pressure::None
    }
}

fn tell(pressure: Pressure, resident: u64, bytes_max: u64) {
    let (resident, memory_max) = (size::format(resident), size::format(bytes_max));
    match pressure {
        Pressure::None => tracing::info!(resident, memory_max, "there is enough memory again: everybody is let in"),
        Pressure::Full => tracing::warn!(resident, memory_max, "too little memory: nobody is let in"),
        Pressure::Over => {
            tracing::error!(resident, memory_max, "far too little memory: who holds the most is ended");
        }
    }
}

/// `VmRSS:   12345 kB`, in the first lines: statm counts in pages, which are not of one size everywhere.
fn resident_bytes(file: &File) -> io::Result<u64> {
    let mut bytes = [0; 2_048];
    let length = file.read_at(&mut bytes, 0)?;
    let text = String::from_utf8_lossy(&bytes[..length]);
    let found = text.lines().find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix(" kB")?.parse().ok());
    found.map(|kib: u64| kib << 10).ok_or_else(|| io::ErrorKind::InvalidData.into())
}

/// Long enough to cost nothing, and short beside the time in which memory fills.
const PERIOD: Duration = Duration::from_millis(250);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_held_is_known_and_judged_by_two_marks() {
        let file = File::open("/proc/self/status").expect("/proc is there");
        let before = resident_bytes(&file).expect("a number");
        let held = vec![7_u8; 64 << 20];
        let after = resident_bytes(&file).expect("a number");
        assert!(before > 1 << 20 && after > before + (48 << 20), "{before} {after}");
        drop(held);
        let pressures = [800, 801, 900, 901].map(|resident| judge(resident, 800));
        assert_eq!(pressures, [Pressure::None, Pressure::Full, Pressure::Full, Pressure::Over]);
    }
}
