//! The plan as one page: everything in it, nothing fetched, readable without its script. The script only moves the picture of the
//! graph and shows a step beside it.

mod step;

use sha2::{Digest, Sha256};

use super::definition::Definitions;
use super::document::{Plan, Proof};
use super::estimates::Estimates;
use super::facts;
use super::graph::{StepGraph, svg};
use super::markup::{escape, line, sentence};
use super::notes;
use super::options::Options;
use super::sql;

const STYLE: &str = concat!(include_str!("../graph/colors.css"), include_str!("../graph/svg.css"), include_str!("page.css"));
const SCRIPT: &str = include_str!("page.js");

/// The page.
pub fn render(plan: &Plan, options: &Options) -> String {
    let title = match plan.is_empty() {
        true => "plumb: no changes".to_owned(),
        false => format!("Plan {}", plan.short_id()),
    };
    let body = if plan.is_empty() { nothing(plan, options) } else { whole(plan, options) };
    // The page's own style and script by their digests, and nothing else from anywhere: neither inline nor from outside.
    let policy = format!(
        "default-src 'none'; style-src '{}'; script-src '{}'; base-uri 'none'; form-action 'none'",
        digest(STYLE),
        digest(SCRIPT)
    );
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"{policy}\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<meta name=\"referrer\" content=\"no-referrer\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n<title>{}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n{body}\
         <script>{SCRIPT}</script>\n</body>\n</html>\n",
        line(&title)
    )
}

fn nothing(plan: &Plan, options: &Options) -> String {
    let [target, schema] = [&options.target, &options.schema].map(|t| line(t));
    let notes = list(&notes::leftovers(plan, options));
    let said = match facts::nature(plan).as_slice() {
        [] => format!("<b>{target}</b> equals <b>{schema}</b>."),
        words => line(&words.join(" ")),
    };
    format!("<main>\n<h1>No changes</h1>\n<p>{said}</p>\n{notes}</main>\n")
}

fn whole(plan: &Plan, options: &Options) -> String {
    let graph = StepGraph::of(plan);
    let definitions = Definitions::of(plan);
    let writer = step::Writer::new(&graph, &definitions, Estimates::of(plan));
    [
        head(plan, options),
        "<main>\n".to_owned(),
        hazards(plan),
        picture(&graph),
        steps(plan, &writer),
        notes_of(plan, options),
        script(plan, options),
        foot(plan, options),
        "</main>\n".to_owned(),
    ]
    .concat()
}

fn head(plan: &Plan, options: &Options) -> String {
    let proven = if matches!(plan.proof, Proof::Equal { .. }) { "good" } else { "bad" };
    let hazards = if !plan.steps().any(facts::hurts) { "good" } else { "bad" };
    let jump = |anchor: &str, word: &str| format!("<a href=\"#{anchor}\">{word}</a>");
    let hazards_jump = if hazards == "bad" { jump("hazards", "Hazards") } else { String::new() };
    format!(
        "<header>\n<h1>Plan <code>{}</code></h1>\n<p class=\"verdict\">{}</p>\n<p class=\"chips\"><span class=\"{hazards}\">{}</span> \
         <span class=\"{proven}\">{}</span></p>\n<p>For <b>{}</b>, from <b>{}</b>.{}</p>\n<nav aria-label=\"On this page\">{hazards_jump}{}{}{}{}</nav>\n\
         </header>\n",
        line(plan.short_id()),
        facts::summary(plan),
        line(&facts::hazards(plan)),
        line(&facts::proof(plan)),
        line(&options.place()),
        line(&options.schema),
        facts::nature(plan).iter().map(|words| format!(" {}", line(words))).collect::<String>(),
        jump("order", "Order"),
        jump("steps", "Steps"),
        jump("notes", "Notes"),
        jump("sql", "SQL"),
    )
}

/// Hazards, those that are refused first; then what the rows are like.
fn hazards(plan: &Plan) -> String {
    let item = |step: &super::PlanStep, h: &crate::hazard::Hazard| {
        let allow = if h.refused() {
            format!(" <span class=\"soft\">refused without <code>--allow {}</code></span>", line(&h.code))
        } else {
            String::new()
        };
        let (id, object, class) = (step.id, line(&step.object.to_string()), if h.refused() { "refused" } else { "told" });
        format!(
            "<li class=\"{class}\"><b>{}</b> in <a href=\"#step-{id}\">step {id}, {object}</a>: {}.{allow}</li>\n",
            line(&h.code),
            sentence(&facts::message(h))
        )
    };
    let all = || plan.steps().flat_map(|step| facts::hazards_of(step).map(move |h| (step, h)));
    let of = |refused: bool| all().filter(|(_, h)| h.refused() == refused).map(|(s, h)| item(s, h)).collect::<String>();
    let rows: String = notes::rows(plan)
        .iter()
        .map(|(fails, row)| format!("<li class=\"{}\">{}</li>\n", if *fails { "refused" } else { "unknown" }, line(row)))
        .collect();
    let items = of(true) + &of(false) + &rows;
    if items.is_empty() {
        return String::new();
    }
    format!(
        "<section id=\"hazards\" class=\"hazards\" aria-labelledby=\"h-hazards\">\n<h2 id=\"h-hazards\">What may hurt</h2>\n<ul>\n{items}</ul>\n</section>\n"
    )
}

fn picture(graph: &StepGraph) -> String {
    let many = facts::count(graph.edges.len(), "reason");
    format!(
        "<section id=\"order\" aria-labelledby=\"h-order\">\n<h2 id=\"h-order\">What comes before what</h2>\n<p class=\"soft\">An arrow leads from a step \
         to one that has to wait for it: {many} in all, those that others imply are not drawn. Steps without arrows may stand \
         anywhere.<span class=\"scripted\" hidden> Drag to move, scroll with Ctrl to zoom, click a step to see why it is where it is. Keys: \
         arrows go from step to step, <kbd>+</kbd> <kbd>-</kbd> <kbd>0</kbd> zoom, <kbd>Esc</kbd> closes.</span></p>\n\
         <div class=\"tools scripted\" hidden role=\"group\" aria-label=\"Picture\"><button type=\"button\" data-zoom=\"in\" aria-label=\"Zoom \
         in\">+</button><button type=\"button\" data-zoom=\"out\" aria-label=\"Zoom out\">−</button><button type=\"button\" data-zoom=\"fit\">Whole\
         </button></div>\n<div class=\"board\">\n<div class=\"view\" id=\"view\">{}</div>\n<aside id=\"panel\" hidden tabindex=\"-1\" \
         aria-label=\"The chosen step\"></aside>\n</div>\n</section>\n",
        svg::inline(graph)
    )
}

fn steps(plan: &Plan, writer: &step::Writer) -> String {
    let mut text = String::from("<section id=\"steps\" aria-labelledby=\"h-steps\">\n<h2 id=\"h-steps\">Steps</h2>\n");
    let phases = facts::phases(plan);
    for phase in &phases {
        if phases.len() > 1 {
            text += &format!("<h3>{}</h3>\n", line(phase));
        }
        plan.steps().filter(|s| s.phase == *phase).for_each(|step| text += &writer.folded(step));
    }
    text + "</section>\n"
}

fn list(sentences: &[String]) -> String {
    let items: String = sentences.iter().map(|s| format!("<li>{}</li>\n", sentence(s))).collect();
    if items.is_empty() { items } else { format!("<ul>\n{items}</ul>\n") }
}

fn notes_of(plan: &Plan, options: &Options) -> String {
    let locks = notes::locks(plan);
    let locks = if locks.is_empty() {
        "<p>Locks that block someone: none.</p>\n".to_owned()
    } else {
        format!("<p>Locks that block someone:</p>\n{}", list(&locks))
    };
    let all = Options { verbose: true, ..options.clone() };
    let others: Vec<String> = notes::transactions(plan).into_iter().chain(notes::leftovers(plan, &all)).collect();
    format!(
        "<section id=\"notes\" aria-labelledby=\"h-notes\">\n<h2 id=\"h-notes\">Notes</h2>\n{locks}{}</section>\n",
        list(&others)
    )
}

fn script(plan: &Plan, options: &Options) -> String {
    let script = escape(&sql::render(plan, options.lock_timeout));
    format!(
        "<section id=\"sql\" aria-labelledby=\"h-sql\">\n<h2 id=\"h-sql\">SQL</h2>\n<details><summary>The whole plan as a script for psql</summary>\n\
         <pre tabindex=\"0\">{script}</pre></details>\n</section>\n"
    )
}

fn foot(plan: &Plan, options: &Options) -> String {
    let run = match options.apply(plan) {
        Some(words) => format!("<pre tabindex=\"0\">{}</pre>\n", line(&words.join(" "))),
        None => "<p>Not saved: <code>plumb plan --out FILE</code> keeps the plan, <code>plumb apply FILE</code> runs it.</p>\n"
            .to_owned(),
    };
    format!(
        "<section id=\"run\" aria-labelledby=\"h-run\">\n<h2 id=\"h-run\">To run it</h2>\n{run}</section>\n<footer>\n<dl>\n<dt>plan</dt><dd><code>{}</code></dd>\n\
         <dt>from</dt><dd><code>{}</code></dd>\n<dt>to</dt><dd><code>{}</code></dd>\n<dt>by</dt><dd>plumb {}</dd>\n</dl>\n</footer>\n",
        line(&plan.id),
        line(&plan.from.scope),
        line(&plan.to),
        line(&plan.plumb),
    )
}

/// A digest as a content security policy names it.
fn digest(text: &str) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let digest = Sha256::digest(text.as_bytes());
    let mut coded = String::from("sha256-");
    for three in digest.chunks(3) {
        let bits = three.iter().fold(0u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - three.len()));
        for place in 0..4 {
            let letter = LETTERS[(bits >> (18 - 6 * place) & 63) as usize] as char;
            coded.push(if place <= three.len() { letter } else { '=' });
        }
    }
    coded
}

#[cfg(test)]
mod tests {
    use super::digest;

    #[test]
    fn digests_are_written_as_browsers_read_them() {
        assert_eq!(digest(""), "sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=");
    }
}
