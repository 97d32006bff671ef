/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One image, PNG or JPEG, as planes of bytes. Both libraries are optional. What a header claims is compared with the
 * length of the file before there is memory for it: the best compression of either format is below LARGEST_RATIO.
 */
#include <setjmp.h>

#include "data_internal.h"

#ifdef CLEF_PNG
#include <png.h>
#endif
#ifdef CLEF_JPEG
#include <jpeglib.h>
#endif

#define LARGEST_RATIO 32768

/* Values in rows of pixels, as both libraries give them. */
typedef struct picture {
	const char *what, *path; /* for messages */
	clef__bytes file;
	int channels; /* 1 or 3; 0: as the file has */
	int64_t height, width;
	uint8_t *pixels;
} picture;

#if defined(CLEF_PNG) || defined(CLEF_JPEG)

/* Memory for a picture whose sizes are known. */
static clef_status make_room(picture *p)
{
	uint64_t area = (uint64_t)p->height * (uint64_t)p->width;

	if (!area || area > (uint64_t)INT32_MAX / 3 || area / LARGEST_RATIO > p->file.size)
		return clef__fail(CLEF_ERROR_FORMAT,
				  "%s: %s says that it is %lld x %lld pixels, which its %zu bytes cannot be", p->what,
				  p->path, (long long)p->height, (long long)p->width, p->file.size);
	p->pixels = clef__calloc((size_t)area * (size_t)p->channels, 1, p->path);
	return p->pixels ? CLEF_OK : CLEF_ERROR_MEMORY;
}

#endif

#if !defined(CLEF_PNG) || !defined(CLEF_JPEG)

static clef_status left_out(const picture *p, const char *format, const char *library)
{
	return clef__fail(CLEF_ERROR_IO, "%s: %s is a %s, and clef was built without %s", p->what, p->path, format,
			  library);
}

#endif

/* ---- PNG ---- */

#ifdef CLEF_PNG

static clef_status read_png(picture *p)
{
	const png_color black = { 0, 0, 0 };
	png_image image = { .version = PNG_IMAGE_VERSION };
	clef_status s;

	if (!png_image_begin_read_from_memory(&image, p->file.data, p->file.size))
		return clef__fail(CLEF_ERROR_FORMAT, "%s: %s is no sound PNG: %s", p->what, p->path, image.message);
	if (!p->channels)
		p->channels = image.format & PNG_FORMAT_FLAG_COLOR ? 3 : 1;
	image.format = p->channels == 3 ? PNG_FORMAT_RGB : PNG_FORMAT_GRAY;
	p->height = image.height;
	p->width = image.width;
	s = make_room(p);
	if (!s && !png_image_finish_read(&image, &black, p->pixels, 0, NULL))
		s = clef__fail(CLEF_ERROR_FORMAT, "%s: %s is no sound PNG: %s", p->what, p->path, image.message);
	png_image_free(&image);
	return s;
}

#else

static clef_status read_png(picture *p)
{
	return left_out(p, "PNG", "libpng");
}

#endif

/* ---- JPEG ---- */

#ifdef CLEF_JPEG

/* libjpeg ends the program where an error is not caught, and goes on with grey pixels after what it calls a warning,
 * which is how it takes a truncated file. Both are errors here. */
typedef struct jpeg_errors {
	struct jpeg_error_mgr base;
	jmp_buf out;
	char message[JMSG_LENGTH_MAX];
} jpeg_errors;

static void jpeg_failed(j_common_ptr j)
{
	jpeg_errors *errors = (jpeg_errors *)(void *)j->err;

	errors->base.format_message(j, errors->message);
	longjmp(errors->out, 1);
}

static void jpeg_message(j_common_ptr j, int level)
{
	if (level < 0)
		jpeg_failed(j);
}

/* Within the reach of setjmp(): all that outlives a jump is in *p and *j. */
static clef_status decode_jpeg(picture *p, struct jpeg_decompress_struct *j)
{
	clef_status s;

	jpeg_create_decompress(j);
	jpeg_mem_src(j, p->file.data, (unsigned long)p->file.size);
	jpeg_read_header(j, TRUE);
	if (!p->channels)
		p->channels = j->num_components == 1 ? 1 : 3;
	j->out_color_space = p->channels == 3 ? JCS_RGB : JCS_GRAYSCALE;
	p->height = j->image_height;
	p->width = j->image_width;
	s = make_room(p);
	if (s)
		return s;
	jpeg_start_decompress(j);
	while (j->output_scanline < j->output_height) {
		JSAMPROW row = p->pixels + (size_t)j->output_scanline * (size_t)p->width * (size_t)p->channels;

		jpeg_read_scanlines(j, &row, 1);
	}
	jpeg_finish_decompress(j);
	return CLEF_OK;
}

static clef_status read_jpeg(picture *p)
{
	struct jpeg_decompress_struct j = { .err = NULL };
	jpeg_errors errors;
	clef_status s;

	j.err = jpeg_std_error(&errors.base);
	errors.base.error_exit = jpeg_failed;
	errors.base.emit_message = jpeg_message;
	if (setjmp(errors.out) == 0)
		s = decode_jpeg(p, &j);
	else
		s = clef__fail(CLEF_ERROR_FORMAT, "%s: %s is no sound JPEG: %s", p->what, p->path, errors.message);
	jpeg_destroy_decompress(&j);
	return s;
}

#else

static clef_status read_jpeg(picture *p)
{
	return left_out(p, "JPEG", "libjpeg");
}

#endif

/* ---- either ---- */

static clef_status read_picture(picture *p)
{
	static const uint8_t png[] = { 0x89, 'P', 'N', 'G' }, jpeg[] = { 0xff, 0xd8, 0xff };

	if (p->file.size >= sizeof(png) && !memcmp(p->file.data, png, sizeof(png)))
		return read_png(p);
	if (p->file.size >= sizeof(jpeg) && !memcmp(p->file.data, jpeg, sizeof(jpeg)))
		return read_jpeg(p);
	return clef__fail(CLEF_ERROR_FORMAT, "%s: %s is neither a PNG nor a JPEG", p->what, p->path);
}

static clef_status to_planes(const picture *p, clef__image *image)
{
	size_t area = (size_t)p->height * (size_t)p->width, channels = (size_t)p->channels;

	*image = (clef__image){ .channels = p->channels, .height = p->height, .width = p->width };
	image->planes = clef__calloc(area * channels, 1, p->path);
	for (size_t c = 0; c < channels && image->planes; c++)
		for (size_t i = 0; i < area; i++)
			image->planes[c * area + i] = p->pixels[i * channels + c];
	return image->planes ? CLEF_OK : CLEF_ERROR_MEMORY;
}

clef_status clef__image_read(const char *what, const char *path, int channels, clef__image *image)
{
	picture p = { .what = what, .path = path, .channels = channels };
	clef_status s = clef__file_read(what, path, CLEF__FILE_LIMIT, &p.file);

	*image = (clef__image){ .planes = NULL };
	if (s)
		return s;
	s = read_picture(&p);
	if (!s)
		s = to_planes(&p, image);
	free(p.pixels);
	free(p.file.data);
	return s;
}
