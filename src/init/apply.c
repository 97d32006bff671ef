/* SPDX-License-Identifier: Apache-2.0 */
/* Initializers as data: from a kind and its values to the function. */
#include "init_internal.h"

static clef_status apply_trunc_normal(clef_tensor *x, const clef_init *init, clef_rng *rng)
{
	const bool plain = init->lo == 0 && init->hi == 0;

	return clef_init_trunc_normal(x, init->p, init->q == 0 ? 1 : init->q, plain ? -2 : init->lo,
				      plain ? 2 : init->hi, rng);
}

clef_status clef_init_apply(clef_tensor *x, const clef_init *init, clef_rng *rng)
{
	bool plain;

	if (!init)
		return clef__fail(CLEF_ERROR_INVALID, "clef_init_apply: init is NULL");
	plain = init->p == 0 && init->q == 0;
	switch (init->kind) {
	case CLEF_INIT_DEFAULT:
		return clef__fail(CLEF_ERROR_INVALID, "clef_init_apply: CLEF_INIT_DEFAULT means what the layer would "
						      "do, and there is no layer here: name an initializer");
	case CLEF_INIT_CONSTANT:
		return clef_init_constant(x, init->p);
	case CLEF_INIT_UNIFORM:
		return clef_init_uniform(x, init->p, plain ? 1 : init->q, rng);
	case CLEF_INIT_NORMAL:
		return clef_init_normal(x, init->p, plain ? 1 : init->q, rng);
	case CLEF_INIT_XAVIER_UNIFORM:
		return clef_init_xavier_uniform(x, init->p, rng);
	case CLEF_INIT_XAVIER_NORMAL:
		return clef_init_xavier_normal(x, init->p, rng);
	case CLEF_INIT_KAIMING_UNIFORM:
		return clef_init_kaiming_uniform(x, &init->kaiming, rng);
	case CLEF_INIT_KAIMING_NORMAL:
		return clef_init_kaiming_normal(x, &init->kaiming, rng);
	case CLEF_INIT_LECUN_UNIFORM:
		return clef_init_lecun_uniform(x, rng);
	case CLEF_INIT_LECUN_NORMAL:
		return clef_init_lecun_normal(x, rng);
	case CLEF_INIT_TRUNC_NORMAL:
		return apply_trunc_normal(x, init, rng);
	case CLEF_INIT_ORTHOGONAL:
		return clef_init_orthogonal(x, init->p, rng);
	case CLEF_INIT_EYE:
		return clef_init_eye(x);
	case CLEF_INIT_DIRAC:
		return clef_init_dirac(x, init->groups);
	case CLEF_INIT_SPARSE:
		return clef_init_sparse(x, init->p, init->q == 0 ? 0.01f : init->q, rng);
	}
	return clef__fail(CLEF_ERROR_INVALID, "clef_init_apply: kind %d is no clef_init_kind", (int)init->kind);
}
