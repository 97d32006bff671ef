/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Checks: is every operation right on this device, with this driver?
 *
 * A problem is one operation with its sizes and options, as text: the name of a family, and words in any order. A word
 * is a term with its value behind it, or alone where the term is a flag:
 *
 *   conv2d n64 c3 h32 w32 k32 r5 s5 p2      64 images of 3 x 32 x 32, 32 outputs, a kernel of 5 x 5, padding 2
 *   linear x100x784 out256 whole            x [100, 784]; data of whole numbers, for which the result must be exact
 *   softmax x33x10 dim=-1                   "=" may stand between term and value, and must where the value is a word
 *
 * What a family's terms mean is told by clef_check_terms(). Whatever checks, times or tunes operations names them so.
 *
 * A problem's operands are drawn from a fixed stream, so that a check can be repeated. It compares the value with a
 * reference in double precision on the host, and every gradient with central differences of that reference; operands
 * lie at odd offsets between guard values, results in memory that held NaN; gradients are computed twice, added up and
 * computed in place, and must have the same bits, or twice the value.
 */
#ifndef CLEF_CHECK_H
#define CLEF_CHECK_H

#include <clef/device.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- what there is ---- */

/* An operation, or something else that can be checked, such as a stream of random numbers. */
typedef struct clef_check_family {
	const char *name;            /* "conv2d" */
	const char *const *problems; /* what the library itself checks of it, the quick ones first */
	int count, quick;            /* all of them, and how many make a quick check */
} clef_check_family;

/* How many families there are, and family i, from 0; without a name where i is out of range. */
CLEF_API int clef_check_count(void);
CLEF_API clef_check_family clef_check_get(int i);

/* Writes the terms of a family to text, a line each, "k N   outputs (1)", cut to size bytes with the terminating zero.
 * ERROR_INVALID for a name that is none; the message has the nearest one. */
CLEF_API clef_status clef_check_terms(const char *family, char *text, size_t size);

/* Reads a problem and writes it to text as the library would: terms in the order of the family's, defaults left out.
 * 256 bytes hold any. Errors: ERROR_INVALID, with the word that is wrong and what is allowed. */
CLEF_API clef_status clef_check_normalize(const char *problem, char *text, size_t size);

/* ---- checking ---- */

typedef enum clef_verdict {
	CLEF_VERDICT_PASSED,
	CLEF_VERDICT_FAILED,
	CLEF_VERDICT_SKIPPED, /* the device cannot do it, which the message explains */
} clef_verdict;

/* Errors are relative to the larger of the element and the mean size of all elements. Where a limit is 0 the result
 * must be exact; where there is no gradient its error and limit are NaN. */
typedef struct clef_check_result {
	clef_verdict verdict;
	double value_error, value_limit;
	double gradient_error, gradient_limit;
	double seconds;    /* of the whole check, with compiling */
	char message[512]; /* what is wrong; where nothing is, a note or "" */
} clef_check_result;

/* Checks a problem on a device. CLEF_OK when there is a verdict, whatever it is. Errors: ERROR_INVALID for a problem
 * that cannot be read; ERROR_MEMORY without host memory for the reference. */
CLEF_API clef_status clef_check(clef_device *dev, const char *problem, clef_check_result *result);

#ifdef __cplusplus
}
#endif

#endif
