//! What the API can do, for people and for programs: a page of all actions, and their OpenAPI document. Both are made
//! once, at the start; names are escaped wherever they stand.

use std::fmt::Write;

use serde_json::{Map, Value, json};

use crate::app::application::App;
use crate::app::page::Page;

/// The page and the document.
pub(crate) struct Reference {
    pub(crate) page: Page,
    pub(crate) document: Page,
}

impl Reference {
    /// Those of an application whose API has that prefix.
    pub(crate) fn of(app: &App, prefix: &str, title: &str, has_basic: bool) -> Self {
        let mut actions: Vec<_> = app.actions.iter().map(|(name, entry)| (&**name, entry.requires_login)).collect();
        actions.sort_unstable();
        let policy = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; \
            frame-ancestors 'none'";
        let page = Page::new("text/html; charset=utf-8", html(&actions, prefix, title));
        let document = serde_json::to_string_pretty(&document(&actions, prefix, title, has_basic));
        let document = document.expect("a document of strings is JSON");
        Self {
            page: page.header("Content-Security-Policy", policy).header("Referrer-Policy", "no-referrer"),
            document: Page::new("application/json; charset=utf-8", document),
        }
    }
}

/// The path of an action.
fn path(prefix: &str, action: &str) -> String {
    let mut path = prefix.to_owned();
    for part in action.split('.') {
        path.push('/');
        for byte in part.bytes() {
            if byte.is_ascii_alphanumeric() || b"-_~".contains(&byte) {
                path.push(char::from(byte));
            } else {
                write!(path, "%{byte:02X}").expect("writing to a string");
            }
        }
    }
    path
}

fn html(actions: &[(&str, bool)], prefix: &str, title: &str) -> String {
    let mut rows = String::new();
    for (name, requires_login) in actions {
        let path = path(prefix, name);
        let note = if *requires_login { "for callers who are logged in" } else { "" };
        let (name, path) = (escape(name), escape(&path));
        writeln!(rows, "<tr><td>{name}</td><td><code>{path}</code></td><td>{note}</td></tr>")
            .expect("writing to a string");
    }
    let title = escape(title);
    format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>{title}: API</title>\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n\
         <style>body{{font:16px/1.5 system-ui,sans-serif;max-width:60em;margin:2em auto;padding:0 1em}}\
         td,th{{text-align:left;padding:.2em 1em .2em 0;border-bottom:1px solid #ccc}}code{{font-size:.9em}}</style>\n\
         </head><body><h1>{title}: API</h1>\n\
         <p>Each action is called by <code>POST</code> with its argument as JSON, or by <code>GET</code> with the argument \
         behind a question mark: <code>?25</code>, <code>?a=1&amp;b=2</code>. For programs: \
         <a href=\"{prefix}/openapi.json\">openapi.json</a>.</p>\n\
         <table><thead><tr><th>action</th><th>path</th><th></th></tr></thead><tbody>\n{rows}</tbody></table></body></html>\n"
    )
}

/// Text as HTML shows it, inside and outside of quotes.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            character => out.push(character),
        }
    }
    out
}

fn document(actions: &[(&str, bool)], prefix: &str, title: &str, has_basic: bool) -> Value {
    let mut paths = Map::new();
    for (name, requires_login) in actions {
        let answers = json!({
            "200": { "description": "What the action answers", "content": { "application/json": { "schema": {} } } },
            "default": { "$ref": "#/components/responses/Error" },
        });
        let mut get = json!({
            "operationId": name,
            "summary": format!("Calls {name}"),
            "parameters": [{
                "name": "argument", "in": "query", "style": "form", "explode": true,
                "description": "An object of strings. Any other argument stands behind the question mark as JSON.",
                "schema": { "type": "object", "additionalProperties": { "type": "string" } },
            }],
            "responses": answers,
        });
        let mut post = json!({
            "operationId": format!("{name}.post"),
            "summary": format!("Calls {name}"),
            "requestBody": { "content": { "application/json": { "schema": {} } } },
            "responses": answers,
        });
        if *requires_login {
            let basic = has_basic.then(|| json!({ "basic": [] }));
            let security: Vec<_> = [json!({ "bearer": [] })].into_iter().chain(basic).collect();
            for operation in [&mut get, &mut post] {
                operation["security"] = json!(security);
            }
        }
        paths.insert(path(prefix, name), json!({ "get": get, "post": post }));
    }
    let mut schemes = json!({ "bearer": { "type": "http", "scheme": "bearer", "bearerFormat": "JWT" } });
    if has_basic {
        schemes["basic"] = json!({ "type": "http", "scheme": "basic" });
    }
    json!({
        "openapi": "3.1.0",
        "info": { "title": title, "version": env!("CARGO_PKG_VERSION") },
        "paths": paths,
        "components": {
            "securitySchemes": schemes,
            "responses": { "Error": {
                "description": "The action's error, or the server's",
                "content": { "application/json": { "schema": { "$ref": "#/components/schemas/Error" } } },
            } },
            "schemas": { "Error": {
                "type": "object",
                "required": ["name", "message"],
                "properties": { "name": { "type": "string" }, "message": { "type": "string" } },
                "additionalProperties": true,
            } },
        },
    })
}
