use super::*;

fn open(text: &str, env: &[(&str, &str)]) -> Result<(Front, Vec<Unfit>), FrontError> {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("f.yaml"), text).expect("written");
    std::fs::write(folder.path().join("page.html"), "<p>").expect("written");
    Front::open("f.yaml", folder.path(), &lookup(env))
}

fn lookup<'a>(env: &'a [(&'a str, &'a str)]) -> impl Fn(&str) -> Option<String> + 'a {
    |name| {
        let found = env.iter().find(|(key, _)| *key == name);
        found.map(|(_, value)| (*value).to_owned())
    }
}

fn max(env: &[(&str, &str)]) -> (Front, Vec<Unfit>) {
    Front::open(MAX, Path::new("."), &lookup(env)).unwrap_or_else(|error| panic!("{error}"))
}

fn predict(front: &Front) -> &Predict {
    let predicts = front.routes.iter().find_map(|route| match &route.does {
        Does::Predict(predict) => Some(predict),
        Does::Labels(_) | Does::Json(_) | Does::File { .. } => None,
    });
    predicts.expect("a route that predicts")
}

#[test]
fn the_environment_sets_the_segmenter_up_and_nonsense_does_not() {
    let check = |env: &[(&str, &str)], model: &str, size: &str, cors: bool, unfit: &[&str]| {
        let (front, found) = max(env);
        let predict = predict(&front);
        assert_eq!(predict.target.name, format!("max-image-segmenter-{model}"));
        assert_eq!(
            predict.with,
            [("image_size".into(), size.into())],
            "{env:?}"
        );
        assert_eq!(front.cors, cors, "{env:?}");
        let found: Vec<&str> = found.iter().map(|unfit| unfit.variable.as_str()).collect();
        assert_eq!(found, unfit, "{env:?}");
    };
    check(&[], "mobile", "513", false, &[]);
    let env = [
        ("MODEL_TYPE", "full"),
        ("IMAGE_SIZE", "16"),
        ("CORS_ENABLE", "True"),
    ];
    check(&env, "full", "16", true, &[]);
    check(&[("IMAGE_SIZE", "1024")], "mobile", "1024", false, &[]);
    check(&[("IMAGE_SIZE", "0333")], "mobile", "333", false, &[]);
    check(
        &[("IMAGE_SIZE", ""), ("MODEL_TYPE", "")],
        "mobile",
        "513",
        false,
        &[],
    );
    for size in [
        "15",
        "1025",
        "9999999",
        "talk-big",
        "+333",
        "-1",
        "33.3",
        " 333",
        "99999999999999999999999",
    ] {
        check(
            &[("IMAGE_SIZE", size)],
            "mobile",
            "513",
            false,
            &["IMAGE_SIZE"],
        );
    }
    for model in ["vacuum", "FULL", "mobile "] {
        check(
            &[("MODEL_TYPE", model)],
            "mobile",
            "513",
            false,
            &["MODEL_TYPE"],
        );
    }
    let all = [
        ("CORS_ENABLE", "yes"),
        ("IMAGE_SIZE", "talk-big"),
        ("MODEL_TYPE", "vacuum"),
    ];
    check(
        &all,
        "mobile",
        "513",
        false,
        &["MODEL_TYPE", "IMAGE_SIZE", "CORS_ENABLE"],
    );
}

#[test]
fn the_segmenters_document_tells_of_every_route_that_machines_ask() {
    let (front, _) = max(&[]);
    assert_eq!(front.address.to_string(), "http://127.0.0.1:5000");
    let document = front
        .routes
        .iter()
        .find(|route| route.path == "/swagger.json");
    let Some(Does::Json(document)) = document.map(|route| &route.does) else {
        panic!("no document");
    };
    assert_eq!(document["swagger"], "2.0");
    assert_eq!(document["info"]["title"], "MAX Image Segmenter");
    assert_eq!(document["info"]["version"], "1.2.0");
    let paths = document["paths"].as_object().expect("paths");
    let paths: Vec<&str> = paths.keys().map(String::as_str).collect();
    assert_eq!(
        paths,
        ["/model/metadata", "/model/labels", "/model/predict"]
    );
    let predict = &document["paths"]["/model/predict"]["post"];
    assert_eq!(predict["operationId"], "post_model_predict");
    assert_eq!(predict["parameters"][0]["name"], "image");
    assert_eq!(predict["parameters"][0]["type"], "file");
    let schema = &predict["responses"]["200"]["schema"]["$ref"];
    let name = schema
        .as_str()
        .and_then(|name| name.strip_prefix("#/definitions/"));
    assert!(document["definitions"][name.expect("a reference")].is_object());
}

#[test]
fn a_document_of_ones_own_is_taken() {
    let text = "
name: mine
address: http://127.0.0.1:0
settings:
  version: {env: V, one_of: ['1', '2'], default: '1'}
tokens: true
routes:
  - {path: /, file: page.html}
  - {path: /v, json: {version: '${version}', both: 'v${version}.${version}'}}
  - {method: PUT, path: /ask, predict: {workflow: w, version: '${version}', field: f, part: body, with: {n: 1}}}
";
    let (front, unfit) = open(text, &[("V", "2")]).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(unfit, []);
    assert!(front.tokens);
    let Does::File {
        content_type,
        content,
    } = &front.routes[0].does
    else {
        panic!("{:?}", front.routes[0]);
    };
    assert_eq!(
        (*content_type, &content[..]),
        ("text/html; charset=utf-8", &b"<p>"[..])
    );
    let json = serde_json::json!({ "version": "2", "both": "v2.2" });
    assert_eq!(front.routes[1].does, Does::Json(json));
    let targets: Vec<String> = front.targets().iter().map(ToString::to_string).collect();
    assert_eq!(targets, ["workflow w, version 2"]);
    assert_eq!(predict(&front).part, "body");
    assert_eq!(predict(&front).with, [("n".to_owned(), "1".to_owned())]);
}

#[test]
fn mistakes_are_told_with_their_place() {
    let check = |lines: &str, expected: &str| {
        let text = format!("name: n\naddress: http://h\n{lines}");
        let error = open(&text, &[]).expect_err("refused").to_string();
        assert_eq!(error, expected, "{lines}");
    };
    check(
        "routes: [{path: /, file: gone.html}]",
        "f.yaml: GET /: file gone.html: No such file or directory (os error 2)",
    );
    check(
        "routes: [{path: x, json: 1}]",
        "f.yaml: GET x: expected a path that begins with / and does not end with one, without parameters",
    );
    check(
        "routes: [{path: '/{x}', json: 1}]",
        "f.yaml: GET /{x}: expected a path that begins with / and does not end with one, without parameters",
    );
    check(
        "routes: [{path: /x, method: get, json: 1}]",
        "f.yaml: get /x: expected the method GET, POST, PUT, PATCH or DELETE",
    );
    check(
        "routes: [{path: /x, json: 1, file: f}]",
        "f.yaml: GET /x: expected one of predict, labels, json, file and `swagger: true`",
    );
    check(
        "routes: [{path: /x}]",
        "f.yaml: GET /x: expected one of predict, labels, json, file and `swagger: true`",
    );
    check(
        "routes: [{path: /x, json: 1}, {path: /x, json: 2}]",
        "f.yaml: GET /x: stands there twice",
    );
    check(
        "routes: [{path: /x, swagger: true}]",
        "f.yaml: GET /x: the document has no section `swagger`",
    );
    check(
        "routes: [{path: /x, labels: {}}]",
        "f.yaml: GET /x: expected either `model` or `workflow`",
    );
    check(
        "routes: [{path: /x, labels: {workflow: w}}]",
        "f.yaml: GET /x: labels: only a model has labels",
    );
    check(
        "routes: [{path: /x, predict: {model: m, field: f, with: {data: 1}}}]",
        "f.yaml: GET /x: with.data: is the part of the file",
    );
    check(
        "routes: [{path: /x, predict: {model: m, field: f, with: {a: [1]}}}]",
        "f.yaml: GET /x: with.a: expected a text or a number",
    );
    check(
        "routes: [{path: /x, json: '${y}'}]",
        "f.yaml: routes[0].json: there is no setting `y`",
    );
    check(
        "routes: [{path: /x, json: '${y'}]",
        "f.yaml: routes[0].json: \"${y\": `${` is not closed",
    );
    check(
        "settings: {s: {env: S, default: maybe}}\nroutes: []",
        "f.yaml: settings.s: default: expected true or false",
    );
    check(
        "settings: {s: {env: S, default: 9, from: 1, to: 5}}\nroutes: []",
        "f.yaml: settings.s: default: expected a whole number from 1 to 5",
    );
    check(
        "settings: {s: {env: S, default: 1, from: 1}}\nroutes: []",
        "f.yaml: settings.s: expected `one_of`, or `from` and `to`, or none of them",
    );
    check(
        "settings: 1\nroutes: []",
        "f.yaml: settings: expected settings by name",
    );
    check(
        "swagger: {info: {title: t}}\nroutes: []",
        "f.yaml: swagger: info.version: expected a text",
    );
    check(
        "swagger: {info: {title: t, version: '1'}}\nroutes: [{path: /x, json: 1, summary: s, gives: D}]",
        "f.yaml: swagger: /x: there is no definition `D`",
    );
    let error = open("name: n\naddress: nowhere\nroutes: []", &[]).expect_err("refused");
    assert!(
        error
            .to_string()
            .starts_with("f.yaml: address: expected http://"),
        "{error}"
    );
    let error = open("name: [", &[]).expect_err("refused");
    assert!(
        error.to_string().starts_with("f.yaml: not YAML: "),
        "{error}"
    );
    let error = Front::open("gone", Path::new("/"), &|_| None).expect_err("no file");
    assert_eq!(
        error.to_string(),
        "there is no front of that name (shipped is max), and no such file"
    );
}
