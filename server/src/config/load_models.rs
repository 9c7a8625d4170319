//! Which models, and which workflows, to load at start: `all`, or `[name=]url` between commas.

/// The checked value of `load_models` and `--models`, or of `load_workflows` and `--workflows`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum LoadModels {
    #[default]
    None,
    /// Everything in the store.
    All,
    List(Vec<ModelSource>),
}

/// One model or workflow to load.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelSource {
    /// Without one, the name is in the archive, or is that of the file.
    pub name: Option<String>,
    /// The name of a file or folder in the store, or a URL.
    pub url: String,
}

impl LoadModels {
    /// Reads the text; an error says which item is wrong. `what` are the items: models or workflows.
    pub fn parse(text: &str, what: &str) -> Result<LoadModels, String> {
        let text = text.trim();
        if text.is_empty() {
            return Ok(LoadModels::None);
        }
        if text.eq_ignore_ascii_case("all") {
            return Ok(LoadModels::All);
        }
        // A comma at the end is a common leftover and harmless.
        let text = text.strip_suffix(',').unwrap_or(text);
        let items = text.split(',').map(str::trim).zip(1..);
        let sources: Result<Vec<ModelSource>, String> =
            items.map(|item| source(item, what)).collect();
        sources.map(LoadModels::List)
    }
}

fn source((item, number): (&str, usize), what: &str) -> Result<ModelSource, String> {
    // A `=` behind a slash or colon belongs to the query of a URL, not to a name.
    let named = item
        .split_once('=')
        .filter(|(name, _)| !name.contains(['/', ':']));
    let (name, url) = match named {
        Some((name, url)) => (Some(name.trim()), url.trim()),
        None => (None, item),
    };
    if url.is_empty() || name == Some("") {
        return Err(format!(
            "{what} {number} of the list: expected url or name=url, found `{item}`"
        ));
    }
    Ok(ModelSource {
        name: name.map(str::to_owned),
        url: url.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sources as `name<-url`.
    fn check(text: &str, expected: &str) {
        let found = match LoadModels::parse(text, "model") {
            Ok(LoadModels::None) => "none".to_owned(),
            Ok(LoadModels::All) => "all".to_owned(),
            Ok(LoadModels::List(sources)) => {
                let each =
                    |s: &ModelSource| format!("{}<-{}", s.name.as_deref().unwrap_or("?"), s.url);
                sources.iter().map(each).collect::<Vec<_>>().join(" ")
            }
            Err(message) => format!("error: {message}"),
        };
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn forms() {
        check("", "none");
        check("  ", "none");
        check("all", "all");
        check("ALL", "all");
        check("a.mar", "?<-a.mar");
        check("all,a.mar", "?<-all ?<-a.mar");
        check("n=a.mar", "n<-a.mar");
        check(" n = a.mar , b.mar ,", "n<-a.mar ?<-b.mar");
        check("https://h/a.mar?v=1", "?<-https://h/a.mar?v=1");
        check("n=https://h/a.mar?v=1", "n<-https://h/a.mar?v=1");
    }

    #[test]
    fn empty_items_are_named_by_their_place() {
        check(
            "a.mar,,b.mar",
            "error: model 2 of the list: expected url or name=url, found ``",
        );
        check(
            "n=",
            "error: model 1 of the list: expected url or name=url, found `n=`",
        );
        check(
            "=a.mar",
            "error: model 1 of the list: expected url or name=url, found `=a.mar`",
        );
        check(
            ",",
            "error: model 1 of the list: expected url or name=url, found ``",
        );
    }
}
