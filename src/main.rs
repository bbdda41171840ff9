use clap::Parser;
#[derive(Parser)]
struct A {
    #[arg(long, env = "X")]
    memory: String,
    #[arg(long)]
    cpu: Option<f64>,
}
fn main() {
    let a = A::parse();
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    tracing::info!("{}", a.memory);
    println!("{}", serde_json::to_string(&a.memory).unwrap());
    println!("{:?}", nix::sys::prctl::set_timerslack(1));
    println!("{:?}", humantime::parse_duration("5s"));
    std::thread::spawn(|| {}).join().unwrap();
}
