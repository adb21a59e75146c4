# SPDX-License-Identifier: Apache-2.0
# memo.m4: does the compiler, does the linker know this flag? Adds those that it knows.

# MEMO_TRY_CFLAGS(VARIABLE, FLAGS): adds each flag that compiles without a complaint.
AC_DEFUN([MEMO_TRY_CFLAGS], [
    for flag in $2; do
        AC_MSG_CHECKING([whether $CC accepts $flag])
        saved_CFLAGS=$CFLAGS; CFLAGS="$CFLAGS -Werror $flag"
        AC_COMPILE_IFELSE([AC_LANG_SOURCE([[int memo_try(void) { return 0; }]])],
            [AC_MSG_RESULT([yes]); $1="$$1 $flag"], [AC_MSG_RESULT([no])])
        CFLAGS=$saved_CFLAGS
    done
])

# MEMO_TRY_LDFLAG(VARIABLE, FLAG): adds it if a program links with it.
AC_DEFUN([MEMO_TRY_LDFLAG], [
    AC_MSG_CHECKING([whether the linker accepts $2])
    saved_LDFLAGS=$LDFLAGS; LDFLAGS="$LDFLAGS $2"
    AC_LINK_IFELSE([AC_LANG_PROGRAM([], [])], [AC_MSG_RESULT([yes]); $1="$$1 $2"], [AC_MSG_RESULT([no])])
    LDFLAGS=$saved_LDFLAGS
])

# MEMO_TRY_FORTIFY(VARIABLE): the highest level that compiler and C library carry out with the builder's CFLAGS (none without optimisation).
AC_DEFUN([MEMO_TRY_FORTIFY], [
    fortify=none
    for level in 3 2; do
        saved_CFLAGS=$CFLAGS; CFLAGS="$CFLAGS -Werror -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=$level"
        AC_COMPILE_IFELSE([AC_LANG_SOURCE([[#include <stdlib.h>
#if !defined(__USE_FORTIFY_LEVEL) || __USE_FORTIFY_LEVEL < _FORTIFY_SOURCE
#error less
#endif
int memo_try(void) { return 0; }]])], [fortify=$level])
        CFLAGS=$saved_CFLAGS
        AS_IF([test "$fortify" != none], [break])
    done
    AC_MSG_CHECKING([for FORTIFY_SOURCE])
    AC_MSG_RESULT([$fortify])
    AS_IF([test "$fortify" != none], [$1="$$1 -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=$fortify"])
])
