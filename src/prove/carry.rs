//! The texts that the live database will have when something in it is called otherwise. A copy tells what they become, but not in the
//! words of the original: what is loaded once more may be deparsed with other casts. What the new name changes in the copy's text is
//! changed in the same places of the original's.

use serde_json::{Map, Value};
use similar::{Algorithm, DiffOp, capture_diff_slices};

use crate::catalog::Object;
use crate::source::lexer;

/// The object as it will be: what the renames have not touched is as it is live, all else as on the copy.
pub fn carried(live: &Object, before: &Object, after: &Object) -> Object {
    Object {
        id: after.id.clone(),
        parent: after.parent.clone(),
        definition: fields(&live.definition, &before.definition, &after.definition),
        detail: fields(&live.detail, &before.detail, &after.detail),
    }
}

fn fields(live: &Map<String, Value>, before: &Map<String, Value>, after: &Map<String, Value>) -> Map<String, Value> {
    let mut all: Map<String, Value> = live.iter().filter(|(k, _)| after.get(*k) == before.get(*k)).map(own).collect();
    let changed = after.iter().filter(|(k, v)| before.get(*k) != Some(*v));
    all.extend(changed.map(|(k, v)| {
        let text = match (live.get(k), before.get(k)) {
            (Some(live), Some(before)) => value(live, before, v),
            _ => v.clone(),
        };
        (k.clone(), text)
    }));
    all
}

fn own((key, value): (&String, &Value)) -> (String, Value) {
    (key.clone(), value.clone())
}

fn value(live: &Value, before: &Value, after: &Value) -> Value {
    match (live, before, after) {
        (live, before, after) if live == before => after.clone(),
        (live, before, after) if before == after => live.clone(),
        (Value::String(live), Value::String(before), Value::String(after)) => Value::String(text(live, before, after)),
        (Value::Object(live), Value::Object(before), Value::Object(after)) => Value::Object(fields(live, before, after)),
        (Value::Array(l), Value::Array(b), Value::Array(a)) if l.len() == b.len() && b.len() == a.len() => {
            Value::Array(l.iter().zip(b).zip(a).map(|((l, b), a)| value(l, b, a)).collect())
        }
        _ => after.clone(),
    }
}

fn words(text: &str) -> Vec<&str> {
    lexer::tokens(text).map(|t| &text[t.span]).collect()
}

/// `live` with the words that have become others from `before` to `after`.
fn text(live: &str, before: &str, after: &str) -> String {
    let (old, new) = (words(before), words(after));
    if old.len() != new.len() {
        return after.to_owned();
    }
    let tokens: Vec<lexer::Token> = lexer::tokens(live).collect();
    let own: Vec<&str> = tokens.iter().map(|t| &live[t.span.clone()]).collect();
    let mut written = String::with_capacity(live.len());
    let mut end = 0;
    for op in capture_diff_slices(Algorithm::Myers, &own, &old) {
        let DiffOp::Equal { old_index, new_index, len } = op else { continue };
        for n in 0..len {
            let span = &tokens[old_index + n].span;
            written += &live[end..span.start];
            written += new[new_index + n];
            end = span.end;
        }
    }
    written + &live[end..]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_name_is_another() {
        let live = "((status)::text = ANY ((ARRAY['status'::character varying, 'b'::character varying])::text[]))";
        let before = "((status)::text = ANY (ARRAY[('status'::character varying)::text, ('b'::character varying)::text]))";
        let after = "((\"State\")::text = ANY (ARRAY[('status'::character varying)::text, ('b'::character varying)::text]))";
        let wanted = "((\"State\")::text = ANY ((ARRAY['status'::character varying, 'b'::character varying])::text[]))";
        assert_eq!(text(live, before, after), wanted);
        assert_eq!(text(live, live, after), after);
    }
}
