//! stub until diagnostics land
use miette::{MietteDiagnostic, Report};
/// g
pub fn general(code: &str, message: String, help: Option<String>) -> Report {
    let mut d = MietteDiagnostic::new(message).with_code(code);
    if let Some(h) = help {
        d = d.with_help(h);
    }
    d.into()
}
/// r
pub fn render(report: &Report, _color: bool, _w: usize) -> String {
    format!("{report:?}")
}
/// c
pub fn count(p: &crate::source::Problems) -> String {
    format!("{} errors", p.list.len())
}
/// s
pub fn source_problems(p: &crate::source::Problems) -> Vec<Report> {
    vec![general("source", p.to_string(), None)]
}
/// c
pub fn connect(e: &crate::pg::ConnectError) -> Report {
    general(e.code(), e.to_string(), Some(e.help()))
}
/// t
pub fn target(e: &crate::pg::TargetError) -> Report {
    general(e.code(), e.to_string(), Some(e.help()))
}
/// s
pub fn shadow(e: &crate::shadow::ShadowError) -> Report {
    general(e.code(), e.to_string(), Some(e.help()))
}
/// i
pub fn introspect(e: &crate::introspect::IntrospectError) -> Report {
    general("introspect", e.to_string(), None)
}
/// c
pub fn cycle(e: &crate::order::Cycle) -> Report {
    general("order::cycle", e.0.join("\n"), None)
}
/// p
pub fn plan(e: &crate::plan::PlanError) -> Report {
    general("plan", e.to_string(), None)
}
/// c
pub fn config(e: &crate::config::ConfigError) -> Report {
    general("config", e.to_string(), None)
}
