//! What is called for which item, what waits for whom, and what becomes of lists.

use super::cases::check;

#[test]
fn each_item_goes_its_way() {
    check(
        "i = foreach $list
         t = call i
         u = call t
         g = gather u
         a = call g
         -> a",
        &[],
        "t[0] t[1] t[2] u[0] u[1] u[2] a",
        "a([u(t(10)) u(t(20)) u(t(30))])",
    );
    // As it is, and twice.
    check(
        "i = foreach $list
         g = gather i
         h = gather i
         -> g, h",
        &[],
        "",
        "{g: [10 20 30] h: [10 20 30]}",
    );
    check(
        "a = call $x
         i = foreach a
         t = call i.n
         g = gather t
         h = gather i.n
         -> g, h",
        &[("a", r#"[{"n": 1}, {"n": 2}]"#)],
        "a t[0] t[1]",
        "{g: [t(1) t(2)] h: [1 2]}",
    );
    // Nobody gathers: nothing waits, and nothing is called.
    check("i = foreach $list\na = call $x\n-> a", &[], "a", "a(7)");
}

#[test]
fn no_items_are_a_normal_case() {
    check(
        "b = call $x
         i = foreach $none
         j = foreach $list
         t = call i b
         u = together i t
         g = gather u
         a = call g
         -> a",
        &[],
        "a b",
        "a([])",
    );
    // No items of any item; items of some.
    check(
        "a = call $x
         i = foreach a
         j = foreach i
         t = together j
         g = gather t
         h = gather g
         -> h",
        &[("a", "[[], [1, 2], []]")],
        "a t[1,0]+t[1,1]",
        "[[] [t(1) t(2)] []]",
    );
}

#[test]
fn what_is_outside_is_there_for_every_item() {
    check(
        "a = call $x
         i = foreach $list
         t = call i a
         j = foreach $none
         u = call j a
         g = gather t
         h = gather u
         -> g, h",
        &[],
        "a t[0] t[1] t[2]",
        "{g: [t(10 a(7)) t(20 a(7)) t(30 a(7))] h: []}",
    );
    // Skipped outside, and needed inside or not.
    check(
        "a = call $x when no
         i = foreach $list
         t = call i a
         u = call i t? a?
         g = gather u
         -> g",
        &[],
        "u[0] u[1] u[2]",
        "[u(10) u(20) u(30)]",
    );
    // Both before and after the scope was opened, and what opens it itself.
    check(
        "a = call $x
         i = foreach a
         s = call i
         t = call i a s
         g = gather t
         -> g",
        &[("a", "[1]")],
        "a s[0] t[0]",
        "[t(1 [1] s(1))]",
    );
}

#[test]
fn what_settles_as_a_scope_opens_is_counted_once() {
    // `s` settles with the opening of the scope; `t` waits for `u` all the same.
    check(
        "s = call $x when no
         i = foreach $list
         u = call i
         t = call u s?
         g = gather t
         -> g",
        &[],
        "u[0] u[1] u[2] t[0] t[1] t[2]",
        "[t(u(10)) t(u(20)) t(u(30))]",
    );
    check(
        "a = call $x
         i = foreach a
         u = call i
         t = call u a
         g = gather t
         -> g",
        &[("a", "[1]")],
        "a u[0] t[0]",
        "[t(u(1) [1])]",
    );
}

#[test]
fn items_inside_items() {
    let results = [("a", "[[1, 2], [3]]")];
    check(
        "b = call $x
         a = call $x
         i = foreach a
         k = call i
         j = foreach i
         t = call j k b
         g = gather t
         u = call g k
         h = gather u
         -> h",
        &results,
        "a b k[0] k[1] t[0,0] t[0,1] t[1,0] u[0] u[1]",
        "[u([t(1 k([1 2]) b(7)) t(2 k([1 2]) b(7))] k([1 2])) u([t(3 k([3]) b(7))] k([3]))]",
    );
    // Two scopes of one list know nothing of one another.
    check(
        "a = call $x
         i = foreach a
         j = foreach a
         t = call i
         u = call j
         g = gather t
         h = gather u
         -> g, h",
        &results,
        "a u[0] u[1] t[0] t[1]",
        "{g: [t([1 2]) t([3])] h: [u([1 2]) u([3])]}",
    );
}

#[test]
fn an_item_may_use_what_was_made_of_all() {
    check(
        "i = foreach $list
         t = call i
         g = gather t
         m = call g
         u = call i m
         v = call u t
         h = gather v
         -> h",
        &[("m", "1"), ("t", "0")],
        "t[0] t[1] t[2] m u[0] u[1] u[2] v[0] v[1] v[2]",
        "[v(u(10 1) 0) v(u(20 1) 0) v(u(30 1) 0)]",
    );
    check(
        "i = foreach $none
         t = call i
         g = gather t
         m = call g
         u = call i m
         h = gather u
         -> h",
        &[],
        "m",
        "[]",
    );
}

#[test]
fn an_item_that_is_missing_is_null_in_the_list() {
    check(
        "a = call $x
         i = foreach a
         t = call i.n when i.good
         u = call t skip
         g = gather u
         -> g",
        &[
            (
                "a",
                r#"[{"n": 1, "good": true}, {"n": 2, "good": false}, {"n": 3, "good": true}]"#,
            ),
            ("u[2]", "!"),
        ],
        "a t[0] t[2] u[0] u[2]",
        "[u(t(1)) null null] without u",
    );
    check(
        "i = foreach $list
         t = call i
         g = gather t
         -> g",
        &[("t[1]", "!")],
        "t[0] t[1] t[2]",
        "t[1]: broken",
    );
}

#[test]
fn a_scope_that_does_not_open_skips_its_gathers() {
    check(
        "b = call $x
         i = foreach $list when no
         t = call i b
         g = gather t
         c = call g
         d = call g?
         -> c, d",
        &[],
        "d b",
        "{c: null d: d()}",
    );
    check(
        "a = call $x when no
         i = foreach a
         g = gather i
         h = gather i when has(a)
         -> g, h",
        &[],
        "",
        "{g: null h: null}",
    );
    // Inside another scope, and with something that the gather still waits for.
    check(
        "s = call $x
         i = foreach $list
         j = foreach i skip
         t = call j
         g = gather t when has(s)
         u = call i g?
         h = gather u
         -> h",
        &[],
        "s u[0] u[1] u[2]",
        "[u(10) u(20) u(30)] without j",
    );
    check(
        "i = foreach $x use $list
         g = gather i
         -> g",
        &[],
        "",
        "[10 20 30] without i",
    );
    check(
        "i = foreach $x use 5
         g = gather i
         -> g",
        &[],
        "",
        "null without i",
    );
}

#[test]
fn no_more_items_than_allowed() {
    let graph =
        |limit: &str| format!("i = foreach $list limit {limit}\nt = call i\ng = gather t\n-> g");
    check(
        &graph("2 truncate"),
        &[],
        "t[0] t[1]",
        "[t(10) t(20)] without i",
    );
    check(
        &graph("3 truncate"),
        &[],
        "t[0] t[1] t[2]",
        "[t(10) t(20) t(30)]",
    );
    check(&graph("0 truncate"), &[], "", "[] without i");
    check(
        &graph("2 error"),
        &[],
        "",
        "i: `foreach`: 3 items, and 2 are the most",
    );
    check(&graph("2 error skip"), &[], "", "null without i");
    check(&graph("2 error use $none"), &[], "", "[] without i");
}

#[test]
fn all_items_of_a_group_go_together() {
    check(
        "i = foreach $list
         t = together i
         g = gather t
         -> g",
        &[],
        "t[0]+t[1]+t[2]",
        "[t(10) t(20) t(30)]",
    );
    // Outside of any scope there is nothing to wait for.
    check("t = together $x\n-> t", &[], "t", "t(7)");
    // Those that come, however the others fared: skipped, failed before, or of the wrong type.
    check(
        "i = foreach $list
         s = call i skip
         t = together s
         g = gather t
         -> g",
        &[("s[1]", "!")],
        "s[0] s[1] s[2] t[0]+t[2]",
        "[t(s(10)) null t(s(30))] without s",
    );
    check(
        "i = foreach $list
         s = call i
         t = together s:text skip
         g = gather t
         -> g",
        &[("s[1]", "1")],
        "s[0] s[1] s[2] t[0]+t[2]",
        "[t(s(10)) null t(s(30))] without t",
    );
    check(
        "a = call $x
         i = foreach a
         t = together i.n when i.good
         u = together t
         g = gather u
         -> g",
        &[(
            "a",
            r#"[{"n": 1, "good": false}, {"n": 2, "good": true}, {"n": 3, "good": false}]"#,
        )],
        "a t[1] u[1]",
        "[null u(t(2)) null]",
    );
    check(
        "i = foreach $list
         s = call i when no
         t = together s
         g = gather t
         -> g",
        &[],
        "",
        "[null null null]",
    );
    // One batch per group.
    check(
        "a = call $x
         i = foreach a
         j = foreach i
         t = together j
         g = gather t
         h = gather g
         -> h",
        &[("a", "[[1, 2], [3]]")],
        "a t[0,0]+t[0,1] t[1,0]",
        "[[t(1) t(2)] [t(3)]]",
    );
}
