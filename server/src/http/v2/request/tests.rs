use super::*;

/// A body that came in pieces.
fn rope(body: impl AsRef<[u8]>) -> Rope {
    let mut rope = Rope::default();
    for piece in body.as_ref().chunks(100) {
        rope.push(Bytes::copy_from_slice(piece));
    }
    rope
}

#[test]
fn members_come_in_any_order_and_strangers_are_passed_over() {
    let body = r#"{"outputs": [{"name": "y", "parameters": {"binary_data": true, "classification": 2}}],
        "stranger": [{"a": {}}], "id": 7, "parameters": {"timeout": 1000, "x": null},
        "inputs": [{"data": [1, 2], "parameters": {"p": "q", "f": 0.5}, "datatype": "FP32", "shape": [2], "name": "x"}]}"#;
    let Read { request, binary } = read(&rope(body), None).expect("a request");
    assert_eq!(request.id.as_deref(), Some("7"));
    assert_eq!(request.parameters.count("timeout", 0), Ok(Some(1000)));
    let input = &request.inputs[0];
    assert_eq!((input.name.as_str(), &input.shape[..]), ("x", &[2][..]));
    assert_eq!(input.parameters.get("f"), Some(&Parameter::Float(0.5)));
    assert!(matches!(&input.content, Content::Packed(bytes) if bytes.len() == 8));
    assert!(binary.wants("y") && !binary.wants("z"));
}

#[test]
fn tensors_stand_behind_the_json_in_their_order() {
    let json = r#"{"parameters": {"binary_data_output": true}, "outputs": [{"name": "t", "parameters": {"binary_data": false}}], "inputs": [
        {"name": "a", "datatype": "UINT8", "shape": [3], "parameters": {"binary_data_size": 3}},
        {"name": "b", "datatype": "UINT8", "shape": [1], "data": [9]},
        {"name": "c", "datatype": "BYTES", "shape": [1], "parameters": {"binary_data_size": 5}}]}"#;
    let body = rope([json.as_bytes(), b"123", b"\x01\0\0\0x"].concat());
    let Read { request, binary } = read(&body, Some(json.len())).expect("a request");
    let contents: Vec<_> = request.inputs.iter().map(|input| &input.content).collect();
    assert!(matches!(contents[0], Content::Packed(bytes) if bytes.clone().into_bytes() == "123"));
    assert!(matches!(contents[1], Content::Packed(bytes) if bytes.clone().into_bytes()[..] == [9]));
    assert!(
        matches!(contents[2], Content::Packed(bytes) if bytes.clone().into_bytes() == "\u{1}\0\0\0x")
    );
    assert!(binary.wants("y") && !binary.wants("t"));
}

#[test]
fn a_body_without_json_is_the_only_input() {
    let Read { request, .. } = read(&rope("PNG"), Some(0)).expect("a request");
    let input = &request.inputs[0];
    assert_eq!((input.name.as_str(), input.datatype), ("", Datatype::Bytes));
    assert!(matches!(&input.content, Content::Elements(elements) if elements == &["PNG"]));
}

fn check_refused(body: &str, head: Option<usize>, expected: &str) {
    let refused = read(&rope(body), head).expect_err(body);
    assert_eq!(refused, expected, "{body}");
}

#[test]
fn what_is_wrong_is_named() {
    check_refused(
        "",
        None,
        "the body is not JSON: EOF while parsing a value at line 1 column 0",
    );
    check_refused("[]", None, "the request: expected an object, found a list");
    check_refused("{}", None, "the request: the member `inputs` is missing");
    check_refused(
        "{\"inputs\": {}}",
        None,
        "inputs: expected a list, found an object",
    );
    check_refused(
        "{\"inputs\": [1]}",
        None,
        "inputs[0]: expected an object, found a number",
    );
    check_refused(
        "{\"inputs\": [], \"inputs\": []}",
        None,
        "the request: the member `inputs` is there twice",
    );
    check_refused(
        "{\"inputs\": []} x",
        None,
        "the body is not JSON: trailing characters at line 1 column 16",
    );
    check_refused(
        "{}",
        Some(3),
        "header Inference-Header-Content-Length: it says 3 bytes, and the body has 2",
    );
    let input = |members: &str| format!("{{\"inputs\": [{{{members}}}]}}");
    let check = |members: &str, expected: &str| check_refused(&input(members), None, expected);
    check(
        "\"name\": 1",
        "inputs[0].name: expected text, found a number",
    );
    check(
        "\"shape\": [1.5]",
        "inputs[0].shape[0]: expected a whole number of 64 bits, found 1.5",
    );
    check(
        "\"shape\": [99999999999999999999]",
        "inputs[0].shape[0]: expected a whole number of 64 bits, found 99999999999999999999",
    );
    check("\"shape\": []", "inputs[0]: the member `name` is missing");
    check(
        "\"name\": \"x\", \"datatype\": \"UINT32\", \"shape\": [1], \"data\": [1]",
        "input `x`: datatype \"UINT32\" is not one of BOOL, UINT8, INT8, INT16, INT32, INT64, FP16, BF16, FP32, FP64, BYTES",
    );
    let sized = |members: &str| {
        format!("\"name\": \"x\", \"datatype\": \"UINT8\", \"shape\": [1]{members}")
    };
    check(
        &sized(""),
        "input `x`: it has neither `data` nor `binary_data_size`",
    );
    check(
        &sized(", \"data\": [1], \"parameters\": {\"binary_data_size\": 1}"),
        "input `x`: it has `data` and `binary_data_size`, and can have one of them",
    );
    check(
        &sized(", \"parameters\": {\"binary_data_size\": 1}"),
        "input `x`: binary_data_size is 1, and 0 bytes are left behind the JSON",
    );
    check(
        &sized(", \"parameters\": {\"binary_data_size\": -1}"),
        "input `x`: parameter `binary_data_size`: expected a whole number from 0, found -1",
    );
    check(
        &sized(", \"parameters\": {\"p\": []}"),
        "inputs[0].parameters.p: expected a number, a text, true or false, found a list",
    );
    let json = input(&sized(", \"data\": [1]"));
    let body = format!("{json}xyz");
    check_refused(
        &body,
        Some(json.len()),
        "3 bytes behind the JSON belong to no input",
    );
    let deep = "[".repeat(300);
    check_refused(
        &format!("{{\"a\": {deep}"),
        None,
        "the body is not JSON: recursion limit exceeded at line 1 column 208",
    );
    let many = vec!["{\"name\": \"x\"}"; 257].join(",");
    check_refused(
        &format!("{{\"outputs\": [{many}]}}"),
        None,
        "outputs: expected at most 256",
    );
}
