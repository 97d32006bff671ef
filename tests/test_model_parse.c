/* SPDX-License-Identifier: Apache-2.0 */
/* Models as text: what names stand for, and texts that are wrong. */
#include <stdlib.h>
#include <string.h>

#include "nn_case.h"

/* Two texts for one model: the same names, shapes and values. */
START_TEST(names_stand_for_layers)
{
	static const char *const rows[][2] = {
		{ "mlp", "flatten linear(256) relu linear(256) relu linear(3)" },
		{ "mlp(width=20, stages=3)", "linear(20) relu linear(20) relu linear(20) relu linear(3)" },
		{ " mlp( 5 , 1 ) ", "flatten, linear(5) -> relu -> linear(3)" },
		{ "convnet", "conv2d(32, 5, pad=2) relu conv2d(16, 3, pad=1) relu flatten linear(3)" },
		{ "convnet(1)", "conv2d(1, 5, pad=2) relu conv2d(1, 3, pad=1) relu flatten linear(3)" },
		{ "vgg(2, 2)", "conv2d(2, 3, pad=1) batch_norm relu conv2d(2, 3, pad=1) batch_norm relu max_pool2d(2) "
			       "conv2d(4, 3, pad=1) batch_norm relu conv2d(4, 3, pad=1) batch_norm relu max_pool2d(2) "
			       "flatten linear(3)" },
	};
	clef_model *model[2];
	clef_params *params[2];

	for (int r = 0; r < CLEF_COUNT(rows); r++) {
		for (int i = 0; i < 2; i++) {
			ck_ok(clef_model_check(rows[r][i]));
			model[i] = ck_new(clef_model_parse(test_device, rows[r][i], CLEF_SHAPE(2, 4, 4), 3, NULL));
			params[i] = clef_model_params(model[i]);
		}
		ck_assert_int_eq(clef_params_count(params[0]), clef_params_count(params[1]));
		for (int k = 0; k < clef_params_count(params[0]); k++) {
			const clef_tensor *w = clef_params_get(params[0], k);
			float *a = nn_values(w), *b = nn_values(clef_params_get(params[1], k));

			ck_assert_str_eq(clef_params_name(params[0], k), clef_params_name(params[1], k));
			ck_assert(nn_shape_is(clef_params_get(params[1], k), clef_tensor_shape(w)));
			ck_assert_mem_eq(a, b, (size_t)clef_tensor_numel(w) * sizeof(*a));
			free(a);
			free(b);
		}
		clef_model_free(model[0]);
		clef_model_free(model[1]);
	}
}
END_TEST

START_TEST(every_name_is_a_model)
{
	const char *name;
	int count = 0;

	for (; (name = clef_model_preset(count)); count++) {
		char text[64];
		clef_model *model;

		snprintf(text, sizeof(text), "%s(width=2)", name);
		ck_ok(clef_model_check(name));
		model = ck_new(clef_model_parse(test_device, text, CLEF_SHAPE(1, 32, 32), 7, NULL));
		ck_assert(clef_shape_equal(clef_model_input(model), CLEF_SHAPE(1, 32, 32)));
		ck_assert(clef_shape_equal(clef_model_output(model), CLEF_SHAPE(7)));
		clef_model_free(model);
	}
	ck_assert_int_eq(count, 6);
	ck_assert_ptr_null(clef_model_preset(-1));
}
END_TEST

START_TEST(wrong_texts)
{
	static const struct {
		const char *text, *part;
	} rows[] = {
		{ "", "\"\" has no layers in it" },
		{ " -> ", "has no layers in it" },
		{ "resnet", "unknown model or layer \"resnet\" at character 1; did you mean \"resnet18\"?" },
		{ "linar(10)",
		  "did you mean \"linear\"?; known are mlp, convnet, vgg, vgg11, resnet18, mobilenet_v2, linear" },
		{ "(10)", "the name of a model or a layer was expected" },
		{ "resnet18 relu", "\"relu\" at character 10 is left over: there can be one model" },
		{ "relu resnet18", "unknown layer \"resnet18\" at character 6" },
		{ "resnet18(depth=3)", "takes no value of that name; allowed is resnet18(width, stages, blocks)" },
		{ "mlp(width=-1)", "a whole number from 0" },
		{ "mlp(2, 3, 4)", "one value too many" },
		{ "mlp(2", "no closing bracket" },
		{ "mlp(70000)", "mlp of width 70000 and 0 stages; up to 65536 and 100 are allowed" },
		{ "vgg(stages=2147483647)", "2147483647 stages; up to 65536 and 100" },
	};

	for (int i = 0; i < CLEF_COUNT(rows); i++) {
		ck_fails(clef_model_check(rows[i].text), CLEF_ERROR_INVALID, rows[i].part);
		ck_null_fails(clef_model_parse(test_device, rows[i].text, CLEF_SHAPE(3, 8, 8), 10, NULL),
			      CLEF_ERROR_INVALID, rows[i].part);
	}
	ck_fails(clef_model_check(NULL), CLEF_ERROR_INVALID, "clef_model_check: given NULL");
	ck_null_fails(clef_model_parse(test_device, NULL, CLEF_SHAPE(3), 10, NULL), CLEF_ERROR_INVALID, "given NULL");
	ck_null_fails(clef_model_parse(NULL, "mlp", CLEF_SHAPE(3), 10, NULL), CLEF_ERROR_INVALID, "given NULL");
	ck_null_fails(clef_model_parse(test_device, "mlp", CLEF_SHAPE(3), 0, NULL), CLEF_ERROR_INVALID,
		      "classes is 0, must be 1 or more");
}
END_TEST

Suite *model_parse_suite(void)
{
	Suite *s = suite_create("model_parse");
	TCase *c = nn_add_case(s, "model_parse");

	tcase_add_test(c, names_stand_for_layers);
	tcase_add_test(c, every_name_is_a_model);
	tcase_add_test(c, wrong_texts);
	return s;
}
