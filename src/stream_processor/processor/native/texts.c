/*
 * Converts a whole column of tokens to texts: strings without escapes, normalised if they are
 * ASCII, and bare numbers and words. What it does not know it leaves OPEN for Python.
 */

#include "column.h"

#include <string.h>

/* The rules of `normalise`; the same numbers as in ready.py. */
enum rule { TRIM, LOWER, UPPER, COLLAPSE_SPACES, EMPTY_TO_NULL };

struct string_form {
    /* Rules in the order in which they are applied, each an `enum rule`. */
    const uint8_t *rules;
    int64_t rule_count;
    /* Whether numbers, true and false are texts too; to those no rule applies. */
    int64_t takes_bare;
};

static int is_ascii(place at, place end)
{
    uint8_t all = 0;
    for (; at < end; at++)
        all |= *at;
    return all < 0x80;
}

/* Without the spaces at both ends. */
static int64_t trimmed(uint8_t *text, int64_t size)
{
    int64_t begin = 0;
    while (size > 0 && text[size - 1] == ' ')
        size--;
    while (begin < size && text[begin] == ' ')
        begin++;
    memmove(text, text + begin, (size_t)(size - begin));
    return size - begin;
}

/* With one space for each run of them. */
static int64_t collapsed(uint8_t *text, int64_t size)
{
    int64_t filled = 0;
    for (int64_t n = 0; n < size; n++)
        if (text[n] != ' ' || n == 0 || text[n - 1] != ' ')
            text[filled++] = text[n];
    return filled;
}

static void change_case(uint8_t *text, int64_t size, uint8_t first, uint8_t last)
{
    for (int64_t n = 0; n < size; n++)
        if (text[n] >= first && text[n] <= last)
            text[n] ^= 'a' ^ 'A';
}

/* The size of an ASCII text after all rules, which change it in place; -1 if it became null.
   A JSON string without escapes holds no white space but spaces, and no controls. */
static int64_t normalised(uint8_t *text, int64_t size, const struct string_form *form)
{
    for (int64_t n = 0; n < form->rule_count; n++) {
        switch (form->rules[n]) {
        case TRIM: size = trimmed(text, size); break;
        case COLLAPSE_SPACES: size = collapsed(text, size); break;
        case LOWER: change_case(text, size, 'A', 'Z'); break;
        case UPPER: change_case(text, size, 'a', 'z'); break;
        default:
            if (size == 0)
                return -1;
        }
    }
    return size;
}

/* A number, true or false; NULL if it is something else. */
static place bare_token(const struct column *column, int64_t row)
{
    place found = token(column, row, NUMBER);
    if (found != NULL)
        return found;
    found = token(column, row, WORD);
    return found == NULL || *found == 'n' ? NULL : found;
}

/* One text to where `text` is, if there is room; its size. The state says whether it is one. */
static int64_t convert_string(const struct column *column, int64_t row,
                              const struct string_form *form, uint8_t *text, int64_t room)
{
    place found = token(column, row, STRING);
    int64_t size = column->sizes[row];
    column->states[row] = without_form(column, row);
    if (found == NULL) {
        found = form->takes_bare ? bare_token(column, row) : NULL;
        if (found == NULL || size > room)
            return 0;
        memcpy(text, found, (size_t)size);
        column->states[row] = VALUE;
        return size;
    }
    size -= 2;
    if (size > room || (form->rule_count > 0 && !is_ascii(found + 1, found + 1 + size)))
        return 0;
    memcpy(text, found + 1, (size_t)size);
    size = normalised(text, size, form);
    column->states[row] = size >= 0 ? VALUE : column->is_nullable ? NOTHING : OPEN;
    return size >= 0 ? size : 0;
}

/* Texts one behind the other, row n from bounds[n] to bounds[n + 1]; their bytes together. */
int64_t convert_strings(const struct column *column, const struct string_form *form, uint8_t *texts,
                        int64_t texts_bytes_max, int32_t *bounds)
{
    int64_t filled = 0;
    bounds[0] = 0;
    for (int64_t row = 0; row < column->rows; row++) {
        filled += convert_string(column, row, form, texts + filled, texts_bytes_max - filled);
        bounds[row + 1] = (int32_t)filled;
    }
    return filled;
}

/* Tokens one behind the other, whatever they are; an absent one is empty. Returns the bytes. */
int64_t gather_tokens(const struct column *column, uint8_t *texts, int64_t texts_bytes_max,
                      int32_t *bounds)
{
    int64_t filled = 0;
    bounds[0] = 0;
    for (int64_t row = 0; row < column->rows; row++) {
        int64_t size = column->sizes[row];
        if (lies_in_data(column, row) && size <= texts_bytes_max - filled) {
            memcpy(texts + filled, column->data + column->starts[row], (size_t)size);
            filled += size;
        }
        bounds[row + 1] = (int32_t)filled;
    }
    return filled;
}
