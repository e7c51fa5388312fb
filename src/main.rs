//! plumb: your PostgreSQL schema, true to its source.

/// Catalogs are many small maps and strings.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Parse trees are as deep as the longest chain of operators in a file; memory is taken only as far as it is used.
const STACK: usize = 1 << 30;

fn main() -> std::process::ExitCode {
    let run = std::thread::Builder::new().stack_size(STACK).spawn(plumb::cli::run);
    match run.map(std::thread::JoinHandle::join) {
        Ok(Ok(code)) => code.into(),
        _ => std::process::ExitCode::FAILURE,
    }
}
