/* SPDX-License-Identifier: Apache-2.0 */
#define _XOPEN_SOURCE 700
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check_clef.h"
#include "check_conv.h"
#include "conv_case.h"
#include "conv_internal.h"

/* ---- implementations ---- */

const char *const *const conv_impls = clef__conv_words + 1;

void conv_force(int impl)
{
	clef__device_set_conv(test_device, impl < CONV_IMPLS ? conv_impls[impl] : NULL);
}

void conv_force_name(const char *impl)
{
	clef__device_set_conv(test_device, impl && *impl ? impl : NULL);
}

bool conv_has_cpu(void)
{
	const clef_device_info *info = clef_device_get_info(test_device);

	return info->kind == CLEF_DEVICE_CPU && info->local_memory >= 1024 * 1024;
}

bool conv_does_weights(int impl)
{
	const clef__conv_impl *of;

	for (int i = 0; (of = clef__conv_impl_get(i)); i++)
		if (strcmp(of->name, conv_impls[impl]) == 0)
			return clef__conv_knows(of, CLEF__CONV_BACKWARD_WEIGHTS);
	ck_abort_msg("%s is no implementation", conv_impls[impl]);
}

static void write_by(const char *problem, int impl, char text[CLEF__PROBLEM_TEXT])
{
	snprintf(text, CLEF__PROBLEM_TEXT, "%s by=%s", problem, conv_impls[impl]);
}

bool conv_case_parse(const char *problem, int impl, clef__problem *p)
{
	clef_tape *tape = ck_new(clef_tape_new(test_device));
	clef_tensor *x[CLEF__OPERANDS] = { NULL }, *y;
	char text[CLEF__PROBLEM_TEXT];

	write_by(problem, impl, text);
	ck_ok(clef__problem_parse(text, p));
	for (int i = 0; i < p->operands; i++)
		x[i] = ck_new(clef_tensor_new(test_device, CLEF_FLOAT32, p->in[i].shape));
	ck_ok(clef_tape_begin(tape));
	y = p->family->apply(x, p->opts);
	if (!y) {
		ck_assert_msg(clef_error_status() == CLEF_ERROR_UNSUPPORTED, "%s", clef_error());
		clef_error_clear();
	}
	for (int i = 0; i < p->operands; i++)
		clef_tensor_free(x[i]);
	clef_tape_free(tape);
	return y != NULL;
}

/* ---- problems ---- */

static bool has_term(const clef__problem *p, const char *term)
{
	const char *at = strstr(p->text, term);

	return at && at[strlen(term)] >= '0' && at[strlen(term)] <= '9';
}

/* Where an implementation has no business to refuse. */
static bool must(int impl, const char *problem)
{
	const clef_device_info *info = clef_device_get_info(test_device);
	bool has_tiles = info->max_work_group >= 16 && info->local_memory >= 8192, for_winograd;
	const clef_shape *w;
	clef__problem p;

	ck_ok(clef__problem_parse(problem, &p));
	w = &p.in[1].shape;
	for_winograd = w->ndim == 4 && w->dim[2] == 3 && w->dim[3] == 3 && !has_term(&p, " g") &&
		       !has_term(&p, " st") && !has_term(&p, " stw") && !has_term(&p, " d") && !has_term(&p, " dw");
	switch ((conv_impl)impl) {
	case CONV_WINOGRAD:
	case CONV_WINOGRAD_WEIGHTS:
		return conv_has_cpu() && for_winograd;
	case CONV_WINOGRAD_GPU:
		return has_tiles && for_winograd;
	case CONV_GEMM: /* the longest strides of problems are 9 in one direction */
		return has_tiles;
	case CONV_IM2COL:
		return !has_term(&p, " g");
	case CONV_CPU:
		return conv_has_cpu();
	case CONV_DIRECT:
		return true;
	default:
		return false;
	}
}

void conv_check(const char *problem)
{
	for (int i = 0; i < CONV_IMPLS; i++) {
		char text[CLEF__PROBLEM_TEXT];

		write_by(problem, i, text);
		if (!check_problem_or_skip(text))
			ck_assert_msg(!must(i, problem), "%s: not done", text);
	}
}

/* ---- NaN and infinity ---- */

/* Whole numbers, and far apart in them one of each that is not finite. */
static void fill_nonfinite(const clef__ref *a, float *v, bool special)
{
	static const float values[] = { NAN, INFINITY, -INFINITY };

	for (int64_t i = 0; i < a->numel; i++)
		v[i] = (float)((i * 7 + i / 5) % 9 - 4);
	for (int64_t i = 0; i < CLEF_COUNT(values) && special; i++)
		v[(2 * i + 1) * a->numel / (2 * CLEF_COUNT(values))] = values[i];
	for (int64_t i = 0; i < a->numel; i++)
		a->v[i] = (double)v[i];
}

static clef__ref new_ref(clef_shape shape)
{
	clef__ref a = { .shape = shape, .numel = clef_shape_numel(shape), .to = clef_shape_numel(shape) };

	a.v = calloc((size_t)a.numel, sizeof(*a.v));
	ck_assert_ptr_nonnull(a.v);
	return a;
}

static void compare_nonfinite(const clef__problem *p, const clef__ref *y, const float *got)
{
	for (int64_t i = 0; i < y->numel; i++) {
		double g = (double)got[i], want = y->v[i], size = fmax(fabs(want), 1e3);
		bool right = isnan(want)   ? isnan(g)
			     : isinf(want) ? isinf(g) && (g > 0) == (want > 0)
					   : fabs(g - want) <= p->tolerance * size;

		ck_assert_msg(right, "%s: y[%lld] is %g, expected %g", p->text, (long long)i, g, want);
	}
}

static void run_nonfinite(const clef__problem *p)
{
	clef_tape *tape = ck_new(clef_tape_new(test_device));
	clef__ref a[2] = { new_ref(p->in[0].shape), new_ref(p->in[1].shape) }, want;
	clef_tensor *x[2], *y;
	float *got;

	ck_ok(clef_tape_begin(tape));
	for (int i = 0; i < 2; i++) {
		float *v = calloc((size_t)a[i].numel, sizeof(*v));

		ck_assert_ptr_nonnull(v);
		fill_nonfinite(&a[i], v, i == 0);
		x[i] = ck_new(clef_input(tape, &(clef_array){ CLEF_FLOAT32, a[i].shape, v }));
		free(v);
	}
	y = ck_new(p->family->apply(x, p->opts));
	want = new_ref(clef_tensor_shape(y));
	ck_assert(p->family->reference(a, p->opts, &want));
	got = calloc((size_t)want.numel, sizeof(*got));
	ck_assert_ptr_nonnull(got);
	ck_ok(clef_read(y, got, (size_t)want.numel * sizeof(*got)));
	compare_nonfinite(p, &want, got);
	free(got);
	free(want.v);
	free(a[0].v);
	free(a[1].v);
	clef_tape_free(tape);
}

void conv_check_nonfinite(const char *problem)
{
	clef__problem p;

	for (int i = 0; i < CONV_IMPLS; i++)
		if (conv_case_parse(problem, i, &p))
			run_nonfinite(&p);
}
