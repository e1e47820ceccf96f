//! Cost against N: drives the real server with the real generator, each on CPUs of its own, and draws what it costs as
//! connections, channels, subscribers, bytes and shards grow. It measures nothing itself but the sweep, which no client
//! can see; everything else is what the generator reports of the server's process.
//!
//! ```text
//! cargo build --release -p socketshard -p socketshard-loadgen -p socketshard-bench
//! target/release/curves --curve connections        one curve: points as JSON and figures as SVG
//! target/release/curves --curve all                all that this machine has CPUs for
//! target/release/curves --plot                     draws again from the stored points
//! target/release/curves --scale                    the tables for large machines, from the stored points
//! ```

mod curve;
mod facts;
mod figure;
mod plan;
mod process;
mod reading;
mod scale;
mod shards;
mod store;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;

use curve::Name;

/// Measures and draws what the server costs as the load grows.
#[derive(Clone, Debug, Parser)]
#[command(name = "curves")]
struct Args {
    /// What grows
    #[arg(long, value_enum)]
    curve: Vec<Name>,
    /// Draw the stored points again, measure nothing
    #[arg(long, conflicts_with = "curve")]
    plot: bool,
    /// Print the tables for large machines, computed from the stored points
    #[arg(long, conflicts_with_all = ["curve", "plot"])]
    scale: bool,
    /// Shards to compare, for the curve of that name
    #[arg(long, value_delimiter = ',', default_value = "1,2,4,8,12", value_name = "LIST")]
    shards: Vec<usize>,
    /// How often everything is measured; the points are medians
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=99))]
    rounds: u16,
    /// Seconds of each measurement
    #[arg(long, default_value_t = 1.0)]
    seconds: f64,
    /// CPU of a lone shard
    #[arg(long, default_value_t = 0, value_name = "CPU")]
    server_cpu: usize,
    /// CPU of the generator beside a lone shard
    #[arg(long, default_value_t = 1, value_name = "CPU")]
    generator_cpu: usize,
    /// Where `socketshard` and `socketshard-loadgen` are [default: beside this program]
    #[arg(long, value_name = "FOLDER")]
    programs: Option<PathBuf>,
    /// Where points and figures go
    #[arg(long, value_name = "FOLDER", default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/../core/docs/figures"))]
    out: PathBuf,
}

fn main() -> ExitCode {
    let args = Args::parse();
    match run(&args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("curves: {problem}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> Result<(), String> {
    if args.scale {
        print!("{}", scale::tables(&args.out)?);
        return Ok(());
    }
    if args.plot {
        return store::read_all(&args.out)?.iter().try_for_each(|curve| figure::draw(curve, &args.out));
    }
    if args.curve.is_empty() {
        return Err("name a --curve (or all), or --plot, or --scale; --help says more".to_owned());
    }
    for name in Name::wanted(&args.curve) {
        let curve = plan::measure(name, args)?;
        store::write(&curve, &args.out)?;
        figure::draw(&curve, &args.out)?;
    }
    Ok(())
}
