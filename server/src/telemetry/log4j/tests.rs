//! Configurations as data: levels, files and what is ignored.

use std::fmt::Write as _;

use super::*;

/// What is found in a configuration with this inside, a line each.
fn check(inside: &str, expected: &str) {
    let env = |name: &str| (name == "LOG_LOCATION").then(|| "/var/log/ts".to_owned());
    let text = format!("<Configuration>\n{inside}\n</Configuration>");
    let found = match read(&text, &env) {
        Ok(found) => {
            let mut lines = String::new();
            if let Some(levels) = found.levels {
                writeln!(lines, "levels {levels}").unwrap();
            }
            for (file, path) in found.files {
                writeln!(lines, "{} {}", file.name(), path.display()).unwrap();
            }
            if !found.ignored.is_empty() {
                writeln!(lines, "ignored {}", found.ignored.join(", ")).unwrap();
            }
            lines
        }
        Err(error) => format!("line {}: {error}", error.line),
    };
    let expected: Vec<&str> = expected.lines().map(str::trim).collect();
    let found: Vec<&str> = found.lines().collect();
    assert_eq!(found, expected, "{inside}");
}

#[test]
fn a_configuration_as_torchserve_users_have_them() {
    check(
        r#"
        <Appenders>
          <RollingFile name="access" fileName="${env:LOG_LOCATION:-logs}/access.log" filePattern="x.%d.gz">
            <PatternLayout pattern="%d - %m%n"/>
            <Policies><SizeBasedTriggeringPolicy size="10 MB"/></Policies>
          </RollingFile>
          <Console name="STDOUT"><PatternLayout pattern="%m%n"/></Console>
          <RollingFile name="metrics" fileName="${env:METRICS_LOCATION:-logs}/m.log" filePattern="m.%d.gz"/>
          <RollingFile name="server" fileName="server.log"/>
          <Socket name="far" host="h"/>
        </Appenders>
        <Loggers>
          <Logger name="ACCESS_LOG" level="warn"><AppenderRef ref="access"/></Logger>
          <Logger name="io.netty" level="error"/>
          <Logger name="MODEL_LOG" level="ALL"/>
          <Logger name="TS_METRICS" level="all"><AppenderRef ref="metrics"/></Logger>
          <Logger name="MODEL_METRICS" level="off"/>
          <Logger name="org.pytorch.serve" level="debug"><AppenderRef ref="STDOUT"/><AppenderRef ref="server"/></Logger>
          <Root level="info"><AppenderRef ref="STDOUT"/><AppenderRef ref="metrics"/></Root>
        </Loggers>"#,
        "levels info,access_log=warn,model_log=trace,torch_engine=trace,handlers=trace,ts_metrics=trace,\
         model_metrics=off,server=debug,torchrelay=debug,serving=debug,archive=debug
         access_log.log /var/log/ts/access.log
         ts_metrics.log logs/m.log
         ts_log.log server.log
         ignored Logger io.netty, PatternLayout, Policies, Socket, filePattern",
    );
}

#[test]
fn little_is_enough_and_more_is_ignored() {
    check("", "");
    check("<Loggers><Root level=\"fatal\"/></Loggers>", "levels error");
    check("<loggers><root/></loggers>", "levels error");
    check(
        "<Loggers><AsyncLogger name=\"ACCESS_LOG\" level=\" Off \"><Filters/></AsyncLogger></Loggers>",
        "levels error,access_log=off\nignored Filters",
    );
    check(
        "<CustomLevels/><Loggers><Logger name=\"a.b\"/></Loggers>",
        "levels error\nignored CustomLevels, Logger a.b",
    );
}

#[test]
fn names_of_files_may_be_looked_up() {
    let check = |name: &str, expected: &str| {
        let text = format!(
            "<Properties><Property name=\"dir\">${{env:LOG_LOCATION}}/d</Property>\
             <Property name=\"self\" value=\"${{self}}\"/></Properties>\
             <Appenders><File name=\"f\" fileName=\"{name}\"/></Appenders>\
             <Loggers><Logger name=\"MODEL_LOG\"><AppenderRef ref=\"f\"/></Logger></Loggers>"
        );
        check(&text, expected);
    };
    check(
        "${dir}/m.log",
        "levels error\nmodel_log.log /var/log/ts/d/m.log",
    );
    check(
        "a-${env:NO:-${env:NEITHER:-b}}.log",
        "levels error\nmodel_log.log a-b.log",
    );
    for unknown in ["${env:NO}/m.log", "${sys:home}/m.log", "${self}", "${dir"] {
        check(unknown, "levels error\nignored fileName of f");
    }
}

#[test]
fn what_cannot_be_read_is_named_with_its_line() {
    check(
        "<Loggers>\n<Root>",
        "line 4: not XML: expected 'Root' tag, not 'Configuration'",
    );
    check(
        "<Loggers>\n\n<Root level=\"inof\"/></Loggers>",
        "line 4: level: expected one of off, fatal, error, warn, info, debug, trace, all, found `inof`",
    );
    let env = |_: &str| None;
    let error = read("<web-app/>", &env).unwrap_err();
    assert_eq!(
        (error.line, error.to_string().as_str()),
        (1, "expected the element Configuration, found web-app")
    );
}
