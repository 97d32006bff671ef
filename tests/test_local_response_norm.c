/* SPDX-License-Identifier: Apache-2.0 */
/* Local response normalization, against torch.nn.functional's own way to write it. */
#include <math.h>
#include <stdlib.h>

#include "check_clef.h"
#include "norm_case.h"

typedef struct lrn_case {
	int size;
	const clef_local_response_norm_opts *opts;
} lrn_case;

static clef_tensor *apply_lrn(clef_tensor **x, const void *opts)
{
	const lrn_case *c = opts;

	return clef_local_response_norm(x[0], c->size, c->opts);
}

/* As torch.nn.functional writes it: the squares, padded with size / 2 zeros in front and (size - 1) / 2 behind, and
 * averaged over windows. */
static void reference_lrn(const ref_array *x, const void *opts, ref_array *y)
{
	const lrn_case *c = opts;
	double alpha = c->opts ? (double)c->opts->alpha : 1e-4, beta = c->opts ? (double)c->opts->beta : 0.75;
	double k = c->opts ? (double)c->opts->k : 1;
	int64_t channels = x->shape.dim[1], inner = norm_size_from(&x->shape, 2);
	double *padded = calloc((size_t)(channels + c->size), sizeof(double));

	ck_assert_ptr_nonnull(padded);
	for (int64_t s = 0; s < x->numel / channels; s++) {
		const int64_t start = s / inner * channels * inner + s % inner;

		for (int64_t ch = 0; ch < channels; ch++)
			padded[ch + c->size / 2] = x->v[start + ch * inner] * x->v[start + ch * inner];
		for (int64_t ch = 0; ch < channels; ch++) {
			double sum = 0;

			for (int j = 0; j < c->size; j++)
				sum += padded[ch + j];
			y->v[start + ch * inner] = x->v[start + ch * inner] / pow(k + alpha * sum / c->size, beta);
		}
	}
	free(padded);
}

static void run_lrn(clef_shape shape, int size, const clef_local_response_norm_opts *opts)
{
	const lrn_case c = { size, opts };

	op_case_run(&(op_case){ .name = "local_response_norm",
				.apply = apply_lrn,
				.reference = reference_lrn,
				.opts = &c,
				.inputs = 1,
				.in = { { .shape = shape, .lo = -2, .hi = 3 } },
				.gradient_tolerance = 5e-5 });
}

START_TEST(local_response_norm)
{
	const clef_local_response_norm_opts strong = { .alpha = 2, .beta = 0.5f, .k = 0.5f };

	run_lrn(CLEF_SHAPE(2, 4, 3), 3, &strong);
	run_lrn(CLEF_SHAPE(1, 5, 2), 2, &strong);
	if (test_small())
		return;
	run_lrn(CLEF_SHAPE(2, 33, 3, 5), 5, NULL);
	run_lrn(CLEF_SHAPE(2, 33, 3, 5), 5, &(clef_local_response_norm_opts){ .alpha = 0.5f, .beta = 2, .k = 2 });
	run_lrn(CLEF_SHAPE(3, 7), 1, &strong);
	run_lrn(CLEF_SHAPE(3, 7), 4, &strong);
	run_lrn(CLEF_SHAPE(3, 1, 257), 3, &strong);
	run_lrn(CLEF_SHAPE(2, 3, 9), 50, &strong);
}
END_TEST

Suite *local_response_norm_suite(void)
{
	Suite *s = suite_create("local_response_norm");
	TCase *c = tcase_create("local_response_norm");

	tcase_set_timeout(c, 120);
	tcase_add_checked_fixture(c, device_setup, device_teardown);
	tcase_add_test(c, local_response_norm);
	suite_add_tcase(s, c);
	return s;
}
