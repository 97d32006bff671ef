/* SPDX-License-Identifier: Apache-2.0 */
/* Losses with a margin and cosine similarity; their edges are in test_loss.c. */
#include "check_case.h"
#include "check_clef.h"
#include "families.h"

static const clef__family *const families[] = { &clef__family_hinge_embedding_loss, &clef__family_margin_ranking_loss,
						&clef__family_cosine_embedding_loss, &clef__family_cosine_similarity };

START_TEST(problems)
{
	check_family(families[_i]);
}
END_TEST

Suite *margin_loss_suite(void)
{
	Suite *s = suite_create("margin_loss");
	TCase *c = tcase_create("margin_loss");

	tcase_add_checked_fixture(c, device_setup, device_teardown);
	tcase_add_loop_test(c, problems, 0, CLEF_COUNT(families));
	suite_add_tcase(s, c);
	return s;
}
