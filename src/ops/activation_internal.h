/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Activations inside of other operations. One fuses when the gradient to what it is applied to follows from its result:
 * then an operation applies it where its kernel stores y, and keeps y alone.
 *
 *   forward    the kernel includes activation.clh and stores activate(value, p, q); its program is built with
 *              clef__activation_defines() in front, its arguments are those of clef__activation_resolve()
 *   backward   activation_gradient(y, dy, p, q) in the kernels that read dy, or a pass of clef__activation_backward()
 *
 * An operation asks clef__activation_fuses() first, and where that says no calls clef_activate() with its result.
 */
#ifndef CLEF_ACTIVATION_INTERNAL_H
#define CLEF_ACTIVATION_INTERNAL_H

#include <clef/activation.h>

#include "tape.h"

/* True for CLEF_ACT_NONE as well, and false for a kind that is none, of which clef_activate() then complains. */
bool clef__activation_fuses(clef_activation activation);

/* With real numbers for parameters: the defaults of the kind where both were left out, 0 for -0.0f. Once only, where an
 * operation takes its options; what follows wants the result. */
clef_activation clef__activation_resolve(clef_activation activation);

/* The lines of #define, a constant, that give activation.clh its meaning; NULL for CLEF_ACT_NONE. */
const char *clef__activation_defines(clef_activation activation);

/* The same for programs that compile for seconds, of which none and relu share one: cl/activation.clh knows it as
 * FLOOR. The parameters become those of that program. */
const char *clef__activation_floor(clef_activation *activation);

/* *dz = the gradient to what was activated, from that to n->y, for a resolved activation that fuses. dy itself for
 * CLEF_ACT_NONE, and where it has passed a relu already; else in the memory of dy, or, where someone asked for the
 * gradient of y, in *scratch. That is the caller's to free, after an error too, and otherwise NULL. */
clef_status clef__activation_backward(const clef__node *n, clef_activation activation, const clef_tensor *dy,
				      const clef_tensor **dz, clef_tensor **scratch);

/* Sets dx to 0 where the gate is 0 or less: for operations that heed it and whose kernels do not. */
clef_status clef__gate(const clef_tensor *gate, const clef_tensor *dx);

#endif
