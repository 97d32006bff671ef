/* SPDX-License-Identifier: Apache-2.0 */
/* Batch normalization of many channels, which a CPU does channel by channel, against each channel on its own. */
#include <math.h>
#include <stdlib.h>

#include "check_clef.h"
#include "problem.h"

enum { X, W, B, DY, MEAN, VAR, OPERANDS };

typedef struct outcome {
	float *y, *dx, *dw, *db, *mean, *var;
} outcome;

static float *read_new(const clef_tensor *x)
{
	size_t bytes = (size_t)clef_tensor_numel(x) * sizeof(float);
	float *values = ck_new(malloc(bytes));

	ck_ok(clef_read(x, values, bytes));
	return values;
}

static void free_outcome(outcome o)
{
	float *all[] = { o.y, o.dx, o.dw, o.db, o.mean, o.var };

	for (int i = 0; i < CLEF_COUNT(all); i++)
		free(all[i]);
}

/* With the gradients of two passes, of which the second adds to those of the first. */
static outcome run(clef_shape shape, float *const *values, const clef_batch_norm_opts *opts)
{
	clef_tape *tape = ck_new(clef_tape_new(test_device));
	clef_tensor *x[OPERANDS], *y, *loss;
	outcome o;

	for (int i = 0; i < OPERANDS; i++)
		x[i] = test_tensor(i == X || i == DY ? shape : CLEF_SHAPE(shape.dim[1]), values[i]);
	for (int i = X; i <= B; i++)
		ck_ok(clef_requires_grad(x[i], true));
	ck_ok(clef_tape_begin(tape));
	y = ck_new(clef_batch_norm(x[X], x[W], x[B], x[MEAN], x[VAR], opts));
	loss = ck_new(clef_sum(clef_mul(y, x[DY]), NULL));
	ck_ok(clef_backward(loss));
	ck_ok(clef_backward_add(loss));
	o = (outcome){
		read_new(y),       read_new(clef_grad(x[X])), read_new(clef_grad(x[W])), read_new(clef_grad(x[B])),
		read_new(x[MEAN]), read_new(x[VAR])
	};
	for (int i = 0; i < OPERANDS; i++)
		clef_tensor_free(x[i]);
	clef_tape_free(tape);
	return o;
}

static void compare(const char *what, int64_t c, double got, double want, double scale)
{
	ck_assert_msg(fabs(got - want) <= 4e-6 * scale, "%s of channel %lld: %.9g, expected %.9g", what, (long long)c,
		      got, want);
}

static void check_channel(clef_shape shape, float *const *values, const clef_batch_norm_opts *opts, int64_t c,
			  const outcome *all)
{
	int64_t n = shape.dim[0], channels = shape.dim[1], inner = clef__ref_size(&shape, 2, shape.ndim);
	clef_shape one = CLEF_SHAPE(n, 1, inner);
	float *part[OPERANDS] = { NULL };
	double sum = 0;
	outcome o;

	for (int i = 0; i < OPERANDS; i++) {
		part[i] = ck_new(malloc((size_t)(n * inner) * sizeof(float)));
		part[i][0] = values[i][i == X || i == DY ? 0 : c];
	}
	for (int64_t i = 0; i < n * inner; i++) {
		int64_t at = (i / inner * channels + c) * inner + i % inner;

		part[X][i] = values[X][at];
		part[DY][i] = values[DY][at];
		sum += fabs((double)values[DY][at]);
	}
	o = run(one, part, opts);
	for (int64_t i = 0; i < n * inner; i++) {
		int64_t at = (i / inner * channels + c) * inner + i % inner;

		compare("y", c, (double)all->y[at], (double)o.y[i], 4);
		compare("dx", c, (double)all->dx[at], (double)o.dx[i], 16);
	}
	compare("dw", c, (double)all->dw[c], (double)o.dw[0], sum);
	compare("db", c, (double)all->db[c], (double)o.db[0], sum);
	compare("mean", c, (double)all->mean[c], (double)o.mean[0], 1);
	compare("var", c, (double)all->var[c], (double)o.var[0], 1);
	free_outcome(o);
	for (int i = 0; i < OPERANDS; i++)
		free(part[i]);
}

static void check(clef_shape shape, const clef_batch_norm_opts *opts)
{
	float *values[OPERANDS];
	outcome o, again;

	for (int i = 0; i < OPERANDS; i++) {
		int64_t count = i == X || i == DY ? clef__ref_size(&shape, 0, shape.ndim) : shape.dim[1];

		values[i] = ck_new(malloc((size_t)count * sizeof(float)));
		for (int64_t k = 0; k < count; k++)
			values[i][k] = (float)((k * 7919 + 31 * i) % 101) / 101.0f + (i == X ? 2.0f : 0.25f);
	}
	o = run(shape, values, opts);
	again = run(shape, values, opts);
	for (int64_t i = 0; i < clef__ref_size(&shape, 0, shape.ndim); i++)
		ck_assert(o.y[i] == again.y[i] && o.dx[i] == again.dx[i]);
	for (int64_t c = 0; c < shape.dim[1]; c += test_small() ? shape.dim[1] - 1 : 1)
		check_channel(shape, values, opts, c, &o);
	free_outcome(o);
	free_outcome(again);
	for (int i = 0; i < OPERANDS; i++)
		free(values[i]);
}

START_TEST(many_channels)
{
	int64_t channels = 4 * (int64_t)clef_device_get_info(test_device)->compute_units + 1;
	clef_batch_norm_opts opts = { .training = true };

	check(CLEF_SHAPE(2, channels, 257), &opts);
	if (test_small())
		return;
	opts.activation = (clef_activation){ .kind = CLEF_ACT_LEAKY_RELU, .p = 0.5f };
	check(CLEF_SHAPE(3, channels, 17, 19), &opts);
	check(CLEF_SHAPE(1, channels, 2, 1103), &opts);
	opts.keep_running = true;
	opts.activation.kind = CLEF_ACT_TANH;
	check(CLEF_SHAPE(5, channels, 16, 16), &opts);
}
END_TEST

Suite *norm_channels_suite(void)
{
	Suite *s = suite_create("norm_channels");
	TCase *c = tcase_create("norm_channels");

	tcase_set_timeout(c, 120);
	tcase_add_checked_fixture(c, device_setup, device_teardown);
	tcase_add_test(c, many_channels);
	suite_add_tcase(s, c);
	return s;
}
