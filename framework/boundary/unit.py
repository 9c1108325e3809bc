"""Compile an entry and the hundred kernels below it as one unit.

numba optimises every function together with all that it calls, and turns each into machine code of its own: along a
deep chain of calls the same code is optimised again at every level.  A kernel has one user, the entry above it.  So a
kernel here is typed and lowered to LLVM's language only; the entry links all of them and is optimised once.
"""

from __future__ import annotations

from typing import Any

from llvmlite.binding import Linkage
from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import CompilerBase, DefaultPassBuilder
from numba.core.compiler_machinery import register_pass
from numba.core.typed_passes import NativeLowering


class KernelLibrary(JITCodeLibrary):  # type: ignore[misc]
    """The code of one kernel in LLVM's language, as lowering left it."""

    _linking_libraries: list[Any]

    def finalize(self) -> None:
        """Check the code and leave it: neither optimised nor turned into machine code."""
        self._final_module.verify()
        self._finalized = True


class EntryLibrary(JITCodeLibrary):  # type: ignore[misc]
    """The code of an entry with that of every kernel below it."""

    _linking_libraries: list[Any]

    def finalize(self) -> None:
        """Link every kernel that the entry reaches, each once, then optimise the whole."""
        reached: dict[Any, None] = dict.fromkeys(self._linking_libraries)
        waiting = list(reached)
        while waiting:
            library = waiting.pop()
            if isinstance(library, KernelLibrary):
                new = [below for below in library._linking_libraries if below not in reached]
                reached.update(dict.fromkeys(new))
                waiting.extend(new)
        self._linking_libraries = list(reached)
        super().finalize()

    def _optimize_final_module(self) -> None:
        """Optimise once; numba's first round serves the counting of references, of which kernels have none.

        What was linked in is made private first: its names count the functions of this process, so that the code of
        another entry, made in another process and read from disk, may use the same ones for other functions.
        """
        for function in self._final_module.functions:
            if not function.is_declaration and function.linkage == Linkage.linkonce_odr:
                function.linkage = Linkage.internal
        manager, builder = self._codegen._module_pass_manager()
        manager.run(self._final_module, builder)


@register_pass(mutates_CFG=True, analysis_only=False)
class _KernelLowering(NativeLowering):  # type: ignore[misc]
    """Lower a kernel, without wrappers for callers from Python or C.

    numba knows an overload by the built-in function that calls it from Python; a method of an empty dictionary, which
    refuses every call, stands in.
    """

    _name = "kernel_lowering"

    def run_pass(self, state: Any) -> bool:
        state.library = KernelLibrary(state.targetctx.codegen(), state.func_id.func_qualname)
        state.flags.no_cpython_wrapper = state.flags.no_cfunc_wrapper = state.flags.no_compile = True
        super().run_pass(state)
        lowered = state["cr"]
        key: Any = dict[str, str]().popitem
        state.targetctx.insert_user_function(key, lowered.fndesc, [state.library])
        state["cr"] = lowered._replace(cfunc=key)
        state.library.finalize()
        return True


@register_pass(mutates_CFG=True, analysis_only=False)
class _EntryLowering(NativeLowering):  # type: ignore[misc]
    """Lower an entry into a library that gathers its kernels."""

    _name = "entry_lowering"

    def run_pass(self, state: Any) -> bool:
        state.library = EntryLibrary(state.targetctx.codegen(), state.func_id.func_qualname)
        state.library.enable_object_caching()
        return bool(super().run_pass(state))


def _pipeline(state: Any, lowering: Any) -> Any:
    manager = DefaultPassBuilder.define_nopython_pipeline(state)
    manager.passes = [(lowering if made is NativeLowering else made, text) for made, text in manager.passes]
    manager._finalized = False
    manager.finalize()
    return manager


class KernelCompiler(CompilerBase):  # type: ignore[misc]
    """numba's pipeline for a kernel."""

    def define_pipelines(self) -> list[Any]:
        """Return the pipeline that ends with lowering."""
        return [_pipeline(self.state, _KernelLowering)]


class LoneCompiler(KernelCompiler):
    """numba's pipeline for a kernel none of whose arguments share memory that it writes."""

    def define_pipelines(self) -> list[Any]:
        """Return the pipeline of a kernel, which is told so."""
        self.state.flags.noalias = True
        return super().define_pipelines()


class EntryCompiler(CompilerBase):  # type: ignore[misc]
    """numba's pipeline for an entry."""

    def define_pipelines(self) -> list[Any]:
        """Return the pipeline that gathers kernels before it optimises."""
        return [_pipeline(self.state, _EntryLowering)]
