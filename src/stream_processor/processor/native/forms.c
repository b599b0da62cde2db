/*
 * Converts the simplest forms of numbers and instants, a whole column at a time. A token whose form
 * is not one of these is left OPEN for Python. The same forms as patterns are in ../forms.py.
 */

#include "column.h"

/* ---- numbers ---- */

/* A number with at most so many digits before and behind the point, together at most 18. */
struct number_form {
    int64_t before;
    int64_t behind;
    /* Whether the number may stand in quotes. */
    int64_t is_quotable;
};

static int is_digit(uint8_t byte)
{
    return byte >= '0' && byte <= '9';
}

/* Digits before the point, without leading zeros; how many there are, 0 if it is not the form. */
static int64_t before_point(place at, place end, int64_t count_max, int64_t *value)
{
    int64_t count = 0;
    if (at < end && *at == '0')
        return 1;
    while (at + count < end && count < count_max && is_digit(at[count]))
        *value = *value * 10 + (at[count++] - '0');
    return count;
}

/* The number times ten to the power of `behind`; 0 if the text is not of the form. */
static int scaled(place at, place end, const struct number_form *form, int64_t *value)
{
    int64_t places = 0, count;
    int is_negative = at < end && *at == '-';
    *value = 0;
    at += is_negative;
    count = before_point(at, end, form->before, value);
    if (count == 0)
        return 0;
    at += count;
    if (at < end && *at == '.') {
        at++;
        for (; at < end && places < form->behind && is_digit(*at); at++, places++)
            *value = *value * 10 + (*at - '0');
        if (places == 0)
            return 0;
    }
    if (at != end)
        return 0;
    for (; places < form->behind; places++)
        *value *= 10;
    if (is_negative)
        *value = -*value;
    return 1;
}

static int number_at(const struct column *column, int64_t row, const struct number_form *form,
                     int64_t *value)
{
    int64_t size = column->sizes[row];
    place text = token(column, row, NUMBER);
    if (text != NULL)
        return scaled(text, text + size, form, value);
    text = form->is_quotable ? token(column, row, STRING) : NULL;
    return text != NULL && scaled(text + 1, text + size - 1, form, value);
}

/* Each number as 64 bits, or as 128 (words == 2), the lower half first. */
void convert_numbers(const struct column *column, const struct number_form *form, int64_t words,
                     int64_t *values)
{
    for (int64_t row = 0; row < column->rows; row++) {
        int64_t value = 0;
        int has_form = number_at(column, row, form, &value);
        column->states[row] = has_form ? VALUE : without_form(column, row);
        values[row * words] = has_form ? value : 0;
        if (words == 2)
            values[row * 2 + 1] = has_form && value < 0 ? -1 : 0;
    }
}

/* ---- instants ---- */

struct instant_form {
    /* Whether texts as in RFC 3339 are taken; without an offset they are in the zone, if any. */
    int64_t takes_rfc3339;
    int64_t zone_minutes;
    int64_t has_zone;
    /* Whether numbers are taken, and how many microseconds one of them stands for. */
    int64_t takes_epoch;
    int64_t epoch_microseconds;
    struct number_form epoch;
};

enum {
    /* 2026-11-24T10:15:30 */
    DATE_TIME_BYTES = 19,
    /* +01:00 */
    OFFSET_BYTES = 6,
    FRACTION_DIGITS_MAX = 6,
    YEAR_MIN = 1600,
    YEAR_MAX = 2999,
    /* Days of 400 years; from the first of March of the year 0 to 1970. */
    DAYS_OF_ERA = 146097,
    DAYS_TO_1970 = 719468,
    SECONDS_OF_DAY = 86400,
    MICROSECONDS = 1000000,
    NO_NUMBER = -10000
};

/* Two digits as a number; below zero if they are none. */
static int64_t two_digits(place at)
{
    return is_digit(at[0]) && is_digit(at[1]) ? (at[0] - '0') * 10 + (at[1] - '0') : NO_NUMBER;
}

/* Days since 1970 of a date from 1600 on. Years are counted from March, so that the day which only
   leap years have is the last one. */
static int64_t days_since_1970(int64_t year, int64_t month, int64_t day)
{
    int64_t year_from_march = month <= 2 ? year - 1 : year;
    int64_t month_from_march = month <= 2 ? month + 9 : month - 3;
    int64_t era = year_from_march / 400, year_of_era = year_from_march % 400;
    int64_t day_of_year = (153 * month_from_march + 2) / 5 + day - 1;
    return era * DAYS_OF_ERA + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year
        - DAYS_TO_1970;
}

/* Whether a month surely has a day; whether a February has 29 is left to Python. */
static int has_day(int64_t month, int64_t day)
{
    if (month < 1 || month > 12 || day < 1)
        return 0;
    if (day <= 28)
        return 1;
    if (month == 2)
        return 0;
    return day <= 30 || (day == 31 && month != 4 && month != 6 && month != 9 && month != 11);
}

/* Seconds since 1970 of DATE_TIME_BYTES of text, as if it were UTC; 0 if it is not the form. */
static int date_time(place at, int64_t *seconds)
{
    int64_t year = two_digits(at) * 100 + two_digits(at + 2);
    int64_t month = two_digits(at + 5), day = two_digits(at + 8);
    int64_t hour = two_digits(at + 11), minute = two_digits(at + 14), second = two_digits(at + 17);
    if (at[4] != '-' || at[7] != '-' || (at[10] != 'T' && at[10] != ' ') || at[13] != ':'
        || at[16] != ':')
        return 0;
    if (year < YEAR_MIN || year > YEAR_MAX || !has_day(month, day))
        return 0;
    if (hour < 0 || hour > 23 || minute < 0 || minute > 59 || second < 0 || second > 59)
        return 0;
    *seconds = days_since_1970(year, month, day) * SECONDS_OF_DAY + hour * 3600 + minute * 60
        + second;
    return 1;
}

/* A point and 1 to 6 digits as microseconds, or nothing, which is 0; NULL if it is neither. */
static place fraction(place at, place end, int64_t *microseconds)
{
    int64_t unit = MICROSECONDS;
    *microseconds = 0;
    if (at >= end || *at != '.')
        return at;
    for (at++; at < end && unit > 1 && is_digit(*at); at++) {
        unit /= 10;
        *microseconds += (*at - '0') * unit;
    }
    return unit < MICROSECONDS ? at : NULL;
}

/* Z, +01:00, or nothing if there is a zone for that; in minutes. */
static int offset(place at, place end, const struct instant_form *form, int64_t *minutes)
{
    *minutes = form->zone_minutes;
    if (at == end)
        return form->has_zone != 0;
    *minutes = 0;
    if (*at == 'Z')
        return at + 1 == end;
    if (end - at != OFFSET_BYTES || (*at != '+' && *at != '-') || at[3] != ':')
        return 0;
    int64_t hour = two_digits(at + 1), minute = two_digits(at + 4);
    if (hour < 0 || hour > 23 || minute < 0 || minute > 59)
        return 0;
    *minutes = *at == '+' ? hour * 60 + minute : -(hour * 60 + minute);
    return 1;
}

/* Microseconds since 1970; 0 if the text is not of the form. */
static int instant(place at, place end, const struct instant_form *form, int64_t *value)
{
    int64_t seconds, microseconds, minutes;
    if (end - at < DATE_TIME_BYTES || !date_time(at, &seconds))
        return 0;
    at = fraction(at + DATE_TIME_BYTES, end, &microseconds);
    if (at == NULL || !offset(at, end, form, &minutes))
        return 0;
    *value = (seconds - minutes * 60) * MICROSECONDS + microseconds;
    return 1;
}

static int instant_at(const struct column *column, int64_t row, const struct instant_form *form,
                      int64_t *value)
{
    place text = form->takes_rfc3339 ? token(column, row, STRING) : NULL;
    if (text != NULL && instant(text + 1, text + column->sizes[row] - 1, form, value))
        return 1;
    if (!form->takes_epoch || !number_at(column, row, &form->epoch, value))
        return 0;
    *value *= form->epoch_microseconds;
    return 1;
}

/* Each instant in microseconds since 1970. */
void convert_instants(const struct column *column, const struct instant_form *form,
                      int64_t *values)
{
    for (int64_t row = 0; row < column->rows; row++) {
        int64_t value = 0;
        int has_form = instant_at(column, row, form, &value);
        column->states[row] = has_form ? VALUE : without_form(column, row);
        values[row] = has_form ? value : 0;
    }
}
