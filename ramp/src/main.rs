//! x
use std::process::ExitCode;

use clap::Parser;
use ramp::engine::local::instance::{self, InstanceArgs, WorkloadArgs};

#[derive(Parser)]
enum Line {
    #[command(hide = true)]
    Instance(InstanceArgs),
    #[command(hide = true)]
    Workload(WorkloadArgs),
}

fn main() -> ExitCode {
    let started_ns = workload::clock::monotonic_ns();
    match Line::parse() {
        Line::Instance(args) => instance::instance(&args),
        Line::Workload(args) => instance::workload(args, started_ns),
    }
}
