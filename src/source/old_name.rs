//! The name that something had before, as a directive or a flag has it: a SQL name.

use super::lexer::{Kind, Token, tokens};

/// The parts of a name such as `old`, `"Old"."Name"`; for the label of an enum also `'old label'`. None when it is not one.
pub fn parts(text: &str) -> Option<Vec<String>> {
    let list: Vec<Token> = tokens(text).collect();
    let part = |t: &Token| {
        let written = &text[t.span.clone()];
        let name = match t.kind {
            Kind::Word => written.to_lowercase(),
            Kind::Quoted => written[1..written.len() - 1].replace("\"\"", "\""),
            Kind::Text(false) if list.len() == 1 => written[1..written.len() - 1].replace("''", "'"),
            _ => return None,
        };
        (!name.is_empty()).then_some(name)
    };
    let dots = list.iter().skip(1).step_by(2).all(|t| t.kind == Kind::Symbol(b'.'));
    if list.len().is_multiple_of(2) || !dots { None } else { list.iter().step_by(2).map(part).collect() }
}

/// Both names of `old=new`.
pub fn pair(text: &str) -> Option<(Vec<String>, Vec<String>)> {
    let sign = tokens(text).find(|t| t.kind == Kind::Symbol(b'='))?;
    Some((parts(&text[..sign.span.start])?, parts(&text[sign.span.end..])?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Option<String> {
        parts(text).map(|p| p.join("|"))
    }

    #[test]
    fn names_are_read_as_sql_reads_them() {
        assert_eq!(of("Users").as_deref(), Some("users"));
        assert_eq!(of("app . \"Old; -- \"\"name\"").as_deref(), Some("app|Old; -- \"name"));
        assert_eq!(of("'it''s'").as_deref(), Some("it's"));
        for wrong in ["", "a b", "a.", ".a", "a..b", "\"\"", "f(int)", "a.'b'", "\"open"] {
            assert_eq!(of(wrong), None, "{wrong}");
        }
        let both = pair("public.users.mail=\"e=mail\"").map(|(a, b)| (a.join("|"), b.join("|")));
        assert_eq!(both, Some(("public|users|mail".to_owned(), "e=mail".to_owned())));
        assert_eq!(pair("users"), None);
    }
}
