//! `completions`: a script for a shell, made from the program's whole command line.

use clap_complete::shells::{Bash, Fish, Zsh};
use clap_complete::{Generator, generate};

use crate::args::Shell;

pub(super) fn script(program: clap::Command, shell: Shell) -> Vec<u8> {
    match shell {
        Shell::Bash => write(program, Bash),
        Shell::Zsh => write(program, Zsh),
        Shell::Fish => write(program, Fish),
    }
}

fn write(mut program: clap::Command, generator: impl Generator) -> Vec<u8> {
    let mut script = Vec::new();
    let name = program.get_name().to_owned();
    generate(generator, &mut program, name, &mut script);
    script
}
