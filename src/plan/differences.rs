//! stub until the renderer lands
use super::Plan;
/// options
pub struct Options {
    /// c
    pub color: bool,
    /// w
    pub width: usize,
    /// t
    pub title: String,
    /// t
    pub target: String,
    /// s
    pub schema: String,
    /// o
    pub objects: usize,
}
/// text
pub fn render(plan: &Plan, options: &Options) -> String {
    let mut out =
        format!("{}: {} steps between {} and {}\n", options.title, plan.steps().count(), options.target, options.schema);
    for s in plan.steps() {
        out += &format!("  {} {}\n", s.change, s.object);
        for q in &s.sql {
            out += &format!("      {q};\n");
        }
    }
    out
}
/// json
pub fn json(plan: &Plan) -> String {
    super::write(plan)
}
