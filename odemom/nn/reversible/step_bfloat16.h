/* A momentum layer as in step_floats.h, of a block whose value and input are bfloat16 while the
 * position and the velocity are floats: f = value - x is rounded to bfloat16, as that of PyTorch.
 * Written in integers, so that no compiler has a bfloat16 of its own to round by. */
typedef uint16_t Half;

static inline float wide(Half half) {
    uint32_t bits = (uint32_t)half << 16;
    float real;
    memcpy(&real, &bits, sizeof real);
    return real;
}

/* To the nearest, halves to even; a sum could carry a number that is none into one that is. */
static inline Half narrow(float real) {
    uint32_t bits;
    memcpy(&bits, &real, sizeof bits);
    uint32_t rounded = (bits + 0x7fff + ((bits >> 16) & 1)) >> 16;
    return (Half)((bits & 0x7fffffff) > 0x7f800000 ? 0x7fc0 : rounded);
}

void bf16_moved(I size, const Half *value, const Half *x, const float *position, const float *v,
                double gamma, double rest, float *out_x, float *out_v) {
    const float g = (float)gamma, factor = (float)rest;
    if (v) {
        _Pragma("omp parallel for if (size > RUN)")
        for (I j = 0; j < size; j++) {
            float kept = g * v[j];
            out_v[j] = wide(narrow(wide(value[j]) - wide(x[j]))) * factor + kept;
            out_x[j] = position[j] + out_v[j];
        }
    } else {
        _Pragma("omp parallel for if (size > RUN)")
        for (I j = 0; j < size; j++) {
            out_v[j] = wide(narrow(wide(value[j]) - wide(x[j]))) * factor;
            out_x[j] = position[j] + out_v[j];
        }
    }
}

/* One of gx and gv may be 0, and so may `to_v`; the gradient of the position is gx itself. */
void bf16_moved_back(I size, const float *gx, const float *gv, double gamma, double rest,
                     Half *to_value, Half *to_x, float *to_v) {
    const float g = (float)gamma, factor = (float)rest;
    const float *one = gx ? gx : gv, *other = gx && gv ? gv : 0;
#define BACK(total, kept)                                                                          \
    _Pragma("omp parallel for if (size > RUN)")                                                    \
    for (I j = 0; j < size; j++) {                                                                 \
        float sum = total;                                                                         \
        to_value[j] = narrow(factor * sum);                                                        \
        to_x[j] = to_value[j] ^ 0x8000;                                                            \
        kept;                                                                                      \
    }
    if (other && to_v) {
        BACK(one[j] + other[j], to_v[j] = g * sum)
    } else if (other) {
        BACK(one[j] + other[j], )
    } else if (to_v) {
        BACK(one[j], to_v[j] = g * sum)
    } else {
        BACK(one[j], )
    }
#undef BACK
}
