"""Lets the torch of the package index, which is built for CUDA, be imported where CUDA's libraries are not installed.

    python stubs.py

run by the interpreter that has torch. torch's libraries name others of CUDA as needed, and the loader wants all of them
before a line runs. Beside torch's own it finds what this makes: empty libraries of those names, one of which has every
function that torch would call on a device. Whoever calls one is ended. It needs `readelf` and a C compiler.
"""

import os
import subprocess
import sys
import sysconfig

# What torch 2.11 asks for of packages that are not installed with it here.
LIBRARIES = (
    "libcublas.so.13 libcublasLt.so.13 libcudnn.so.9 libcufft.so.12 libcufile.so.0 libcurand.so.10 libcusolver.so.12 "
    "libcusparse.so.12 libcusparseLt.so.0 libnccl.so.2 libnvshmem_host.so.3"
).split()
# Where the functions are; the others are empty.
FIRST = LIBRARIES[0]
# Who calls them, and what their names begin with.
CALLERS = ("libtorch_cuda.so", "libtorch_cuda_linalg.so", "libtorch_nvshmem.so", "libtorch_python.so")
PREFIXES = ("cublas", "cuFile", "cudnn", "cufft", "curand", "cusolver", "cusparse", "nccl", "nvshmem")


def main():
    folder = os.path.join(sysconfig.get_path("platlib"), "torch", "lib")
    functions = sorted({name for caller in CALLERS for name in missing(os.path.join(folder, caller))})
    code = "#include <stdlib.h>\n" + "".join("void %s(void) { abort(); }\n" % name for name in functions)
    for library in LIBRARIES:
        compile_into(os.path.join(folder, library), library, code if library == FIRST else "")
    subprocess.run([sys.executable, "-c", "import torch; torch.zeros(2) + 1"], check=True)


def missing(library):
    """The functions of CUDA's that a library does not have itself."""
    said = subprocess.run(["readelf", "-W", "--dyn-syms", library], check=True, capture_output=True, text=True).stdout
    for line in said.splitlines():
        fields = line.split()
        if len(fields) >= 8 and fields[6] == "UND":
            name = fields[7].partition("@")[0]
            if name.startswith(PREFIXES):
                yield name


def compile_into(path, name, code):
    compiler = os.environ.get("CC") or "cc"
    options = ["-shared", "-fPIC", "-w", "-O1", "-Wl,-soname," + name]
    subprocess.run([compiler] + options + ["-x", "c", "-", "-o", path], input=code, check=True, text=True)


if __name__ == "__main__":
    main()
