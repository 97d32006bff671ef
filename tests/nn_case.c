/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of parameters, models and layers share. */
#include <stdlib.h>
#include <string.h>

#include "nn_case.h"

clef_tape *nn_tape;

static void setup(void)
{
	device_setup();
	nn_tape = ck_new(clef_tape_new(test_device));
}

static void teardown(void)
{
	clef_tape_free(nn_tape);
	device_teardown();
}

TCase *nn_add_case(Suite *s, const char *name)
{
	TCase *c = tcase_create(name);

	tcase_add_checked_fixture(c, setup, teardown);
	suite_add_tcase(s, c);
	return c;
}

float *nn_values(const clef_tensor *x)
{
	size_t bytes = (size_t)clef_tensor_numel(x) * sizeof(float);
	float *v = ck_new(malloc(bytes ? bytes : 1));

	ck_ok(clef_read(x, v, bytes));
	return v;
}

void nn_check_same(const clef_tensor *a, const clef_tensor *b)
{
	float *u, *v;

	ck_assert(clef_shape_equal(clef_tensor_shape(a), clef_tensor_shape(b)));
	u = nn_values(a);
	v = nn_values(b);
	ck_assert_mem_eq(u, v, (size_t)clef_tensor_numel(a) * sizeof(float));
	free(u);
	free(v);
}

clef_tensor *nn_input(int64_t batch, clef_shape sample)
{
	clef_array a = { .dtype = CLEF_FLOAT32, .shape = { .ndim = sample.ndim + 1, .dim = { batch } } };
	clef_tensor *x;
	float *v;
	int64_t n;

	for (int i = 0; i < sample.ndim; i++)
		a.shape.dim[i + 1] = sample.dim[i];
	n = clef_shape_numel(a.shape);
	a.data = v = ck_new(calloc((size_t)n + 1, sizeof(float)));
	for (int64_t i = 0; i < n; i++)
		v[i] = (float)((i * 37 + 11) % 64) / 32.0f - 1.0f;
	x = ck_new(clef_input(nn_tape, &a));
	free(v);
	return x;
}

bool nn_shape_is(const clef_tensor *x, clef_shape shape)
{
	return clef_shape_equal(clef_tensor_shape(x), shape);
}

char *nn_printed(const clef_model *model)
{
	FILE *file = ck_new(tmpfile());
	char *text = ck_new(calloc(1, 8192));

	ck_ok(clef_model_print(model, file));
	rewind(file);
	ck_assert_uint_gt(fread(text, 1, 8191, file), 0);
	fclose(file);
	return text;
}
