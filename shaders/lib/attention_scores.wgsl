        // The sums of products s0a to s3b become scores of four rows (`own`) and eight of the `terms`, m and on. They are scaled after the
        // sum and not on q: the same roundings in all kernels, and those of the gradients have no room for a scaled q.
        s0a *= params.scale; s1a *= params.scale; s2a *= params.scale; s3a *= params.scale;
        s0b *= params.scale; s1b *= params.scale; s2b *= params.scale; s3b *= params.scale;
        if (params.window > 0u) {
            // The codes of eight terms are worth computing again: 32 scores share them.
            let ca = codes(at.image, m, terms);
            let cb = codes(at.image, m + 4u, terms);
            s0a += bias(own.code.x, own.side.x, ca, at.head, turn); s0b += bias(own.code.x, own.side.x, cb, at.head, turn);
            s1a += bias(own.code.y, own.side.y, ca, at.head, turn); s1b += bias(own.code.y, own.side.y, cb, at.head, turn);
            s2a += bias(own.code.z, own.side.z, ca, at.head, turn); s2b += bias(own.code.z, own.side.z, cb, at.head, turn);
            s3a += bias(own.code.w, own.side.w, ca, at.head, turn); s3b += bias(own.code.w, own.side.w, cb, at.head, turn);
        }
