//! plumb: your PostgreSQL schema, true to its source.

fn main() -> std::process::ExitCode {
    plumb::cli::run().into()
}
